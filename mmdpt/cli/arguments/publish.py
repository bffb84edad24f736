"""Share a trained model without pickles: python tools/publish.py CHECKPOINT DIR

DIR gets model.safetensors, config.json and README.md, a model card. The commands
predict, test, export and demo take DIR in the place of a checkpoint.
"""

import argparse

from mmdpt.utils.outputs import OVERWRITE

from .common import described_parser


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = described_parser(__doc__)
    parser.add_argument('checkpoint', help='file that training wrote')
    parser.add_argument('folder', metavar='DIR', help='folder to write, new or empty')
    parser.add_argument('--license', metavar='NAME', help='of what was learnt, such as mit')
    parser.add_argument('--overwrite', **OVERWRITE)
    parser.add_argument('--debug', action='store_true', help='show the traceback of an error')
    return parser.parse_args(argv)
