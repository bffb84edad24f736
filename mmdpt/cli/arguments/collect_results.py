"""Collect runs into tables: python tools/collect_results.py WORK_DIRS... [--csv F] ...

    python tools/collect_results.py work_dirs --csv results.csv --markdown results.md
    python tools/collect_results.py work_dirs/dpt* --seeds 1 2 3 --latex table.tex

Prints the tables; docs/results.md says what the columns and the marks mean.
"""

import argparse

from mmdpt.utils.outputs import OVERWRITE

from .common import INTERVALS, UNSEALED, described_parser


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = described_parser(__doc__)
    parser.add_argument('work_dirs', nargs='+', help='work directories, or folders of them')
    parser.add_argument('--csv', metavar='FILE', help='write one line for each figure of each run')
    parser.add_argument('--markdown', metavar='FILE', help='write the tables here')
    parser.add_argument('--latex', metavar='FILE', help='the same for LaTeX with booktabs')
    parser.add_argument('--json', metavar='FILE', help='runs, tables and warnings')
    parser.add_argument('--intervals', **INTERVALS)
    parser.add_argument(
        '--groups',
        action='store_true',
        help='add letters: methods of a column that share one are not distinguishable; from the '
        'predictions.npz that trainings leave',
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
