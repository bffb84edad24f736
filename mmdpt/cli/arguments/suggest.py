"""Choose the photos to label next: python tools/suggest.py CHECKPOINT FOLDER -n 20

They are photos that the model is unsure of, each unlike the others. Before there is any label:

    python tools/suggest.py zero-shot photos/ --classes "cat,dog"

See docs/not_sure.md.
"""

import argparse

from mmdpt.utils.outputs import OVERWRITE

from .common import described_parser
from .predict import add_model, add_running


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = described_parser(__doc__)
    add_model(parser)
    parser.add_argument(
        '-n', '--count', type=int, default=20, metavar='N', help='photos to choose (default 20)'
    )
    add_running(parser)
    parser.add_argument(
        '--out', metavar='FILE', help='write the list there: rank, path, class, probability, why'
    )
    parser.add_argument(
        '--html', metavar='FILE', help='write a page with small pictures of them, in one file'
    )
    parser.add_argument('--overwrite', **OVERWRITE)
    parser.add_argument('--debug', action='store_true', help='show the traceback of an error')
    return parser.parse_args(argv)
