"""Time our path beside the plain one, in one process, in turn; or run a suite.

    python tools/benchmark_speed.py --num-classes 10 100 1000 --batch-size 4
    python tools/benchmark_speed.py --suite gpu --golden FOLDER

The plain path pads every prompt to the full context, shares and caches nothing
and runs the frozen and the prompted image pass apart (tests/helpers/plain.py). Both
compute --method, as configs/_base_/methods has it, with random weights, so only
time, memory and equality mean something. Where a plain run would not fit (--plain-limit), it is run with
fewer classes, at two sizes, and carried on in a straight line; the result
says so. --plain reference is DPT in the shape of the authors' public code (tests/helpers/reference.py).

--suite gpu is all that a new GPU should be asked, correctness first; --suite dev what
a change for speed should pass on any machine. A suite writes its JSON and Markdown after each
part. The exit status is 1 if a part failed.
"""

import argparse
import json
import signal
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'tests'))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from mmdpt.utils.outputs import OVERWRITE, Output, check_outputs  # noqa: E402
from mmdpt.utils.files import write_json  # noqa: E402

from speed.machine import machine  # noqa: E402
from speed.models import METHODS, learns, method_config  # noqa: E402
from speed.pair import PARTS, benchmark  # noqa: E402
from speed.parts import SUITES  # noqa: E402
from speed.setting import Setting  # noqa: E402
from speed.suite import run_suite  # noqa: E402
from speed.tasks import SLOW  # noqa: E402

DTYPES = ['fp64', 'fp32', 'bf16', 'fp16']
OF_SUITES = ('small', 'minutes', 'golden', 'markdown', 'only')
OF_BOTH = ('suite', 'device', 'arch', 'repeat', 'threads', 'json', 'overwrite')


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--arch', default='ViT-B-16-quickgelu')
    parser.add_argument('--num-classes', type=int, nargs='+', default=[10, 100, 1000])
    parser.add_argument('--batch-size', type=int, default=4)
    parser.add_argument('--eval-batch-size', type=int, help='default: as --batch-size')
    parser.add_argument('--device', help='default: cpu; of the suite gpu: cuda')
    parser.add_argument('--dtype', choices=DTYPES, default='fp32', help='of the frozen towers')
    parser.add_argument(
        '--plain-dtype', choices=DTYPES, help='the same for the plain path; default: as --dtype'
    )
    parser.add_argument(
        '--method',
        choices=METHODS,
        default='dpt',
        help='methods without a learnt prompt of their own for all images have '
        'no part "text", those without learning no "train_step"',
    )
    parser.add_argument('--parts', nargs='+', choices=PARTS, default=list(PARTS))
    parser.add_argument('--repeat', type=int, default=3)
    parser.add_argument('--warm-up', type=int, default=1, help='rounds not counted, first')
    parser.add_argument('--no-flops', action='store_true', help='save the runs that count FLOPs')
    parser.add_argument('--threads', type=int, help='default: all')
    parser.add_argument(
        '--plain-limit', type=int, default=100, help='most classes that the plain path runs with'
    )
    parser.add_argument('--plain', choices=SLOW, default='padded', help='the slow path')
    parser.add_argument('--guided', action='store_true', help='the losses of the first epochs')
    parser.add_argument(
        '--clock', choices=['wall', 'cpu'], default='wall', help='cpu: processor seconds'
    )
    parser.add_argument('--json', help='also write the result here; of a suite: speed_SUITE.json')
    parser.add_argument('--overwrite', **OVERWRITE)
    suite = parser.add_argument_group('suites')
    suite.add_argument('--suite', choices=list(SUITES))
    suite.add_argument('--small', action='store_true', help='the built-in CLIP, few rounds')
    suite.add_argument('--minutes', type=float, default=20.0, help='for all parts together')
    suite.add_argument('--golden', help='folder of reference numbers, for the parts "parity ..."')
    suite.add_argument('--markdown', help='default: speed_SUITE.md')
    suite.add_argument('--only', nargs='+', metavar='PART', help='only these parts of the suite')
    return parser


def parse_args() -> argparse.Namespace:
    parser = build_parser()
    args = parser.parse_args()
    names = set(vars(args)) - set(OF_BOTH)
    idle = names - set(OF_SUITES) if args.suite else OF_SUITES
    given = [n for n in sorted(idle) if getattr(args, n) != parser.get_default(n)]
    if given:
        options = ', '.join('--' + n.replace('_', '-') for n in given)
        parser.error(f'{options}: of no effect {"with" if args.suite else "without"} --suite')
    if args.plain == 'reference' and args.method != 'dpt':
        parser.error(f'--plain reference is DPT: of no use with --method {args.method}')
    if args.suite:
        args.json = args.json or f'speed_{args.suite}.json'
        args.markdown = args.markdown or f'speed_{args.suite}.md'
        unknown = [name for name in args.only or () if name not in SUITES[args.suite]]
        if unknown:
            known = ', '.join(SUITES[args.suite])
            parser.error(f'--only: no part is called {", ".join(unknown)}; there are: {known}')
    args.device = args.device or ('cuda' if args.suite == 'gpu' else 'cpu')
    args.parts = [part for part in args.parts if part in parts(args.method)]
    outputs = [Output('--json', args.json, 'json'), Output('--markdown', args.markdown, 'markdown')]
    try:
        check_outputs(outputs, [args.golden], args.overwrite)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    if args.golden and not Path(args.golden).is_dir():
        parser.error(f'--golden {args.golden}: there is no such folder')
    return args


def parts(method: str) -> list:
    """The parts that a method has."""
    text = (method_config(method).get('text_prompt') or {}).get('type')
    missing = [] if text and text != 'CoCoOp' else ['text']
    return [
        part for part in PARTS if part not in missing + ([] if learns(method) else ['train_step'])
    ]


def show(count: int, part: str, row: dict) -> None:
    print(
        f'{count:7} {part:11} {row["ours_s"]:8.3f} '
        f'{row["plain_s"]:8.3f} {row["ratio"]:6.2f} '
        f'{row["ours_peak_mib"]:9.0f} {row["plain_peak_mib"]:9.0f} '
        f'{row["max_abs_diff"]:9.1e} '
        f'{row["max_rel_grad_diff"]:9.1e}'
        f'{"  plain: " + row["plain_note"] if "plain_note" in row else ""}',
        flush=True,
    )


def compare(args: argparse.Namespace) -> None:
    """Our path beside a slow one."""
    plain_dtype = args.plain_dtype or args.dtype
    eval_batch_size = args.eval_batch_size or args.batch_size
    result = dict(
        machine=dict(
            machine(args.device),
            arch=args.arch,
            dtype=args.dtype,
            method=args.method,
            plain_dtype=plain_dtype,
            plain=args.plain,
            batch_size=args.batch_size,
            eval_batch_size=eval_batch_size,
        )
    )
    print(json.dumps(result['machine']))
    print(
        f'{"classes":>7} {"part":11} {"ours s":>8} {"plain s":>8} '
        f'{"ratio":>6} {"ours MiB":>9} {"plain MiB":>9} {"out diff":>9} '
        f'{"grad diff":>9}',
        flush=True,
    )
    for count in args.num_classes:
        result[str(count)] = {}
        for part in args.parts:
            row = benchmark(
                part,
                count,
                args.arch,
                eval_batch_size if part == 'evaluation' else args.batch_size,
                device=args.device,
                dtype=args.dtype,
                plain_dtype=plain_dtype,
                repeat=args.repeat,
                plain_limit=args.plain_limit,
                warm_up=args.warm_up,
                count_flops=not args.no_flops,
                method=method_config(args.method),
                clock=args.clock,
                slow=args.plain,
                guided=args.guided,
            )
            result[str(count)][part] = row
            show(count, part, row)
    if args.json:
        write_json(result, args.json, indent=1)


def main() -> None:
    args = parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    if not args.suite:
        return compare(args)
    setting = Setting(
        device=args.device,
        small=args.small,
        arch=args.arch,
        golden=args.golden,
        repeat=args.repeat,
        threads=args.threads,
    )
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # no part outlives the suite
    result = run_suite(args.suite, setting, args.minutes, args.json, args.markdown, args.only)
    sys.exit(result['status'] != 'passed')


if __name__ == '__main__':
    main()
