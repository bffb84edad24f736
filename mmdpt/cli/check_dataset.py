"""Check datasets on disk: layout, lists, counts, class order, images.

The command line: arguments/check_dataset.py.
"""

import os.path as osp
import sys
from concurrent.futures.process import BrokenProcessPool

from ..datasets import BENCHMARKS, get_layout, own_benchmark
from ..datasets.doctor import check_dataset
from ..paths import spoken
from ..utils.files import write_json
from ..utils.outputs import Output, check_outputs
from ..utils.text import printable
from .arguments.check_dataset import parse_args


def layouts(args):
    """Layouts to check, by name."""
    if args.data == 'all':
        return {b.name: get_layout(b, args.data_root) for b in BENCHMARKS.values() if b.folder}
    known = {b.name.lower() for b in BENCHMARKS.values()}
    if osp.exists(args.data) and args.data.lower() not in known:
        return {args.data: get_layout(own_benchmark(draw_val=False), args.data)}
    try:
        found = get_layout(args.data, args.data_root)
    except ValueError as error:
        raise ValueError(f'no folder or file {args.data} is here. {error}') from error
    if not found.benchmark.folder:
        raise ValueError(f'{found.benchmark.name} has no files to check.')
    return {found.benchmark.name: found}


def main(argv: list[str] | None = None) -> None:
    """The command."""
    args = parse_args(argv)
    try:
        data = args.data if osp.exists(args.data) else args.data_root
        check_outputs([Output('--json', args.json, 'json')], [data], args.overwrite)
        todo = layouts(args)
    except (ValueError, OSError) as error:
        sys.exit(spoken(f'error: {error}'))
    result = {}
    for name, found in todo.items():
        print(f'\n{name}', flush=True)
        try:
            findings = check_dataset(found, args.deep, args.workers)
        except BrokenProcessPool:
            sys.exit(
                'error: a process that read images was killed, which the system does when '
                'memory runs out: try --workers 1'
            )
        for finding in findings:
            mark = 'WRONG' if not finding.ok else 'NOTE ' if finding.note else 'ok   '
            print(f'  {mark} {printable(finding.text)}')
        result[name] = dict(
            ok=all(f.ok for f in findings), findings=[f._asdict() for f in findings]
        )
    wrong = [name for name, r in result.items() if not r['ok']]
    print(
        f'\n{len(result) - len(wrong)} of {len(result)} in order'
        f'{"; not: " + ", ".join(wrong) if wrong else ""}'
    )
    if args.json:
        write_json(dict(datasets=result), args.json, indent=1)
    sys.exit(1 if wrong else 0)
