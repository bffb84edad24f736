"""Time our path beside the plain one, in one process, in turn.

    python tools/benchmark_speed.py --num-classes 10 100 1000 --batch-size 4

The plain path pads every prompt to the full context, shares and caches nothing
and runs the frozen and the prompted image pass apart (tests/helpers/plain.py). Both
compute --method, as configs/_base_/methods has it, with random weights, so only
time, memory and equality mean something. Where a plain run would not fit (--plain-limit), it is run with
fewer classes, at two sizes, and carried on in a straight line; the result
says so.
"""

import argparse
import json
import platform
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'tests'))

from mmengine.config import Config  # noqa: E402

from speed import PARTS, benchmark  # noqa: E402

METHODS = {
    path.stem: Config.fromfile(path).model
    for path in sorted(
        (Path(__file__).resolve().parents[1] / 'configs/_base_/methods').glob('*.py')
    )
}


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--arch', default='ViT-B-16-quickgelu')
    parser.add_argument('--num-classes', type=int, nargs='+', default=[10, 100, 1000])
    parser.add_argument('--batch-size', type=int, default=4)
    parser.add_argument('--eval-batch-size', type=int, help='default: as --batch-size')
    parser.add_argument('--device', default='cpu')
    parser.add_argument(
        '--dtype',
        choices=['fp64', 'fp32', 'bf16', 'fp16'],
        default='fp32',
        help='of the frozen towers',
    )
    parser.add_argument(
        '--plain-dtype',
        choices=['fp64', 'fp32', 'bf16', 'fp16'],
        help='the same for the plain path; default: as --dtype',
    )
    parser.add_argument(
        '--method',
        choices=list(METHODS),
        default='dpt',
        help='methods without a learnt prompt of their own for all images have '
        'no part "text", those without learning no "train_step"',
    )
    parser.add_argument('--parts', nargs='+', choices=PARTS, default=PARTS)
    parser.add_argument('--repeat', type=int, default=3)
    parser.add_argument('--warm-up', type=int, default=1, help='rounds not counted, first')
    parser.add_argument('--no-flops', action='store_true', help='save the runs that count FLOPs')
    parser.add_argument('--threads', type=int, help='default: all')
    parser.add_argument(
        '--plain-limit', type=int, default=100, help='most classes that the plain path runs with'
    )
    parser.add_argument('--json', help='also write the result here')
    args = parser.parse_args()
    args.parts = [part for part in args.parts if part in parts(args.method)]
    return args


def parts(method: str) -> list:
    """The parts that a method has."""
    model = METHODS[method]
    text = (model.get('text_prompt') or {}).get('type')
    learns = (
        text
        or model.get('visual_prompt')
        or model.get('tuning')
        or model['head']['type'] != 'SimilarityHead'
    )
    missing = [] if text and text != 'CoCoOp' else ['text']
    return [
        part
        for part in PARTS
        if part not in missing + ([] if learns and method != 'tip_adapter' else ['train_step'])
    ]


def machine(args) -> dict:
    name = platform.processor() or platform.machine()
    info = Path('/proc/cpuinfo')
    if info.exists():
        models = [
            line.split(':')[1].strip()
            for line in info.read_text().splitlines()
            if 'model name' in line
        ]
        name = models[0] if models else name
    if args.device.startswith('cuda'):
        name = torch.cuda.get_device_name(args.device)
    return dict(
        device=name,
        threads=torch.get_num_threads(),
        torch=torch.__version__,
        arch=args.arch,
        dtype=args.dtype,
        method=args.method,
        plain_dtype=args.plain_dtype or args.dtype,
        batch_size=args.batch_size,
        eval_batch_size=args.eval_batch_size or args.batch_size,
    )


def main():
    args = parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    result = dict(machine=machine(args))
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
                args.batch_size
                if part != 'evaluation'
                else args.eval_batch_size or args.batch_size,
                device=args.device,
                dtype=args.dtype,
                plain_dtype=args.plain_dtype or args.dtype,
                repeat=args.repeat,
                plain_limit=args.plain_limit,
                warm_up=args.warm_up,
                count_flops=not args.no_flops,
                method=METHODS[args.method],
            )
            result[str(count)][part] = row
            print(
                f'{count:7} {part:11} {row["ours_s"]:8.3f} '
                f'{row["plain_s"]:8.3f} {row["ratio"]:6.2f} '
                f'{row["ours_peak_mib"]:9.0f} {row["plain_peak_mib"]:9.0f} '
                f'{row["max_abs_diff"]:9.1e} '
                f'{row["max_rel_grad_diff"]:9.1e}'
                f'{"  plain: " + row["plain_note"] if "plain_note" in row else ""}',
                flush=True,
            )
    if args.json:
        Path(args.json).write_text(json.dumps(result, indent=1))


if __name__ == '__main__':
    main()
