"""Put runs side by side: python tools/compare.py WORK_DIR WORK_DIR... [--html FILE]

Prints accuracies with their intervals, differences to the first run on the same
photos, and the settings that differ; the page also shows photos on which the
runs disagree. See docs/report.md.
"""

import argparse

from mmdpt.utils.outputs import OVERWRITE

from .common import described_parser


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = described_parser(__doc__)
    parser.add_argument('work_dirs', nargs='+', help='folders of finished runs, from 2 to 10')
    parser.add_argument('--html', metavar='FILE', help='write a page with photos')
    parser.add_argument('--json', metavar='FILE', help='write all figures')
    parser.add_argument('--overwrite', **OVERWRITE)
    parser.add_argument('--debug', action='store_true', help='show the traceback of an error')
    return parser.parse_args(argv)
