"""Collect runs into tables: python tools/collect_results.py WORK_DIRS... [--csv F] ...

    python tools/collect_results.py work_dirs --csv results.csv --markdown results.md
    python tools/collect_results.py work_dirs/dpt* --seeds 1 2 3 --latex table.tex

Prints the tables; docs/results.md says what the columns and the marks mean.
"""

import argparse
import json
import os.path as osp
import sys

from ..paths import spoken
from ..results import UNSEALED, all_tables, collect, find_runs, write_csv
from ..results.render import as_json, latex, markdown
from ..utils.files import write_text
from ..utils.outputs import OVERWRITE, Output, check_outputs
from ..utils.text import visible


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=spoken(__doc__), formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('work_dirs', nargs='+', help='work directories, or folders of them')
    parser.add_argument('--csv', metavar='FILE', help='write one line for each figure of each run')
    parser.add_argument('--markdown', metavar='FILE', help='write the tables here')
    parser.add_argument('--latex', metavar='FILE', help='the same for LaTeX with booktabs')
    parser.add_argument('--json', metavar='FILE', help='runs, tables and warnings')
    parser.add_argument(
        '--intervals',
        action='store_true',
        help="show half of the mean's 95 %% interval over the seeds instead of the deviation",
    )
    parser.add_argument('--overwrite', **OVERWRITE)
    parser.add_argument('--unsealed', **UNSEALED)
    parser.add_argument(
        '--seeds',
        nargs='+',
        type=int,
        metavar='N',
        help='seeds that each experiment should have; by default all that any run has',
    )
    parser.add_argument(
        '--latest',
        action='store_true',
        help='of runs of the same method, dataset, shots and seed take the one that finished last',
    )
    return parser.parse_args(argv)


def write(path, text):
    """Write a text file, if there is a path."""
    if path:
        write_text(text, path)


def check_files(args, sources):
    """Refuse outputs that would cost a file."""
    check_outputs(
        [
            Output('--csv', args.csv, 'runs'),
            Output('--markdown', args.markdown, 'markdown'),
            Output('--latex', args.latex, 'latex'),
            Output('--json', args.json, 'json'),
        ],
        [path for path in (*args.work_dirs, *sources) if osp.isfile(path)],
        args.overwrite,
    )


def main(argv: list[str] | None = None) -> None:
    """Collects."""
    args = parse_args(argv)
    try:
        check_files(args, ())
        found = find_runs(args.work_dirs, args.unsealed)
        check_files(args, {row.source for row in found})
        rows, warnings = collect(found, args.seeds, args.latest)
        tables, more = all_tables(rows)
        warnings += more
        text = markdown(tables, rows, warnings, args.intervals)
        if args.csv:
            write_csv(rows, args.csv)
        write(args.markdown, text)
        write(args.latex, latex(tables, rows, warnings, args.intervals) if args.latex else '')
        write(args.json, json.dumps(as_json(tables, rows, warnings), indent=1))
    except (ValueError, OSError) as error:
        sys.exit(spoken(f'error: {error}'))
    print(text)
    for warning in warnings:
        print(f'warning: {visible(warning)}', file=sys.stderr)
