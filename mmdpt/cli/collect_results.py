"""Collect runs into tables.

The command line: arguments/collect_results.py.
"""

import json
import os.path as osp
import sys

from ..paths import spoken
from ..results import all_tables, collect, find_runs, write_csv
from ..results.render import as_json, latex, markdown
from ..utils.files import write_text
from ..utils.outputs import Output, check_outputs
from ..utils.text import visible
from .arguments.collect_results import parse_args


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
        if args.groups:
            from ..results.groups import add_groups

            add_groups(tables, warnings)
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
