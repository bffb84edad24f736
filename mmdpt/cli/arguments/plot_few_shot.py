"""Draw accuracy over shots: python tools/plot_few_shot.py CSV_OR_WORK_DIRS... --out F

    python tools/plot_few_shot.py results.csv --out few_shot.pdf
    python tools/plot_few_shot.py work_dirs --out few_shot.png --methods zero_shot dpt coop

One panel per dataset, and their average; bands are one standard deviation over
the seeds, or --intervals. The CSV is that of tools/collect_results.py.
"""

import argparse

from mmdpt.utils.outputs import OVERWRITE

from .common import INTERVALS, UNSEALED, described_parser


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = described_parser(__doc__)
    parser.add_argument('results', nargs='+', help='a CSV file, or work directories')
    parser.add_argument(
        '--out', required=True, metavar='FILE', help='the figure: .png, .pdf or .svg'
    )
    parser.add_argument('--overwrite', **OVERWRITE)
    parser.add_argument('--unsealed', **UNSEALED)
    parser.add_argument('--intervals', **INTERVALS)
    parser.add_argument(
        '--groups',
        action='store_true',
        help='add letters for the largest number of shots: methods that share one are not '
        'distinguishable; from the predictions.npz that trainings leave',
    )
    parser.add_argument('--methods', nargs='+', help='which, in this order; by default all')
    parser.add_argument('--datasets', nargs='+', help='the same for datasets')
    parser.add_argument(
        '--seeds',
        nargs='+',
        type=int,
        metavar='N',
        help='as in collect_results, for work directories',
    )
    parser.add_argument('--latest', action='store_true', help='the same')
    return parser.parse_args(argv)
