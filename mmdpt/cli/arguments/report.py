"""Write a page about a finished training: python tools/report.py WORK_DIR [--out DIR]

Accuracy with its interval beside zero-shot CLIP and other methods, precision and
recall of each class, confusion matrix, photos that it gets wrong, calibration,
attention, data warnings, how to reproduce it: report.html, report.md and
report.json. See docs/report.md.
"""

import argparse

from mmdpt.utils.outputs import OVERWRITE

from .common import PRETRAINED, described_parser


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = described_parser(__doc__)
    parser.add_argument('work_dir', help='folder of a finished training, or of mmdpt fit')
    parser.add_argument('--out', metavar='DIR', help='where to write; by default WORK_DIR')
    parser.add_argument('--overwrite', **OVERWRITE)
    parser.add_argument('--pretrained', **PRETRAINED)
    parser.add_argument('--debug', action='store_true', help='show the traceback of an error')
    return parser.parse_args(argv)
