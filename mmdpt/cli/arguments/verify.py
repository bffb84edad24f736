"""Check that a run is what it says: python tools/verify.py RUN_DIR

Compares the hashes of results, predictions and checkpoint, computes the accuracies from the
stored logits, draws the training images again and lists the test images. Nothing in the folder
is run: its config is read as data. The exit status is 1 if anything differs.
"""

import argparse

from mmdpt.utils.outputs import OVERWRITE

from .common import described_parser


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = described_parser(__doc__)
    parser.add_argument('folders', nargs='+', metavar='RUN_DIR', help='work directory')
    parser.add_argument(
        '--retest', action='store_true', help='compute the logits from the checkpoint, too'
    )
    parser.add_argument(
        '--retrain',
        action='store_true',
        help='train again, too: on the CPU with the same threads the weights are equal bit for bit',
    )
    parser.add_argument('--json', metavar='FILE', help='write what is printed')
    parser.add_argument('--overwrite', **OVERWRITE)
    parser.add_argument('--debug', action='store_true', help='show the traceback of an error')
    return parser.parse_args(argv)
