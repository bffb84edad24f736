"""Write a page about a finished training.

The command line: arguments/report.py.
"""

import json

from ..engine.cli import friendly_errors
from ..report import write_report
from ..utils.text import printable
from .arguments.report import parse_args


def main(argv: list[str] | None = None) -> None:
    """Writes."""
    args = parse_args(argv)
    with friendly_errors(args.debug):
        paths = write_report(args.work_dir, args.out, args.overwrite, args.pretrained)
        with open(paths.json, encoding='utf-8') as file:
            said = json.load(file)
        for line in [*said['summary'], *said['warnings']]:
            print(printable(line))
        for path in paths:
            print(path)
