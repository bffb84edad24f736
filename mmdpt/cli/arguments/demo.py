"""A local web page: python tools/demo.py [CHECKPOINT...] [--checkpoint-dir DIR]

Drop a photo, choose a trained model, edit the class names; see probabilities
and what the model looks at. Without a checkpoint: zero-shot CLIP. See
docs/demo.md.
"""

import argparse

from .common import PRETRAINED, described_parser


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = described_parser(__doc__)
    parser.add_argument(
        'checkpoints',
        nargs='*',
        metavar='checkpoint',
        help='files that training wrote, to choose from on the page',
    )
    parser.add_argument(
        '--checkpoint-dir',
        metavar='DIR',
        help='all .pth files and published folders below it, too, as they are at the start',
    )
    parser.add_argument(
        '--config',
        help='config file of the training, for one checkpoint that '
        'does not carry its own; it is run as Python',
    )
    parser.add_argument('--arch', help='zero-shot: the CLIP (default: the built-in mmdpt-tiny)')
    parser.add_argument(
        '--pretrained',
        **dict(PRETRAINED, help=f'{PRETRAINED["help"]}; zero-shot: those built in, or openai'),
    )
    parser.add_argument(
        '--classes',
        metavar='"A,B,..."',
        help='zero-shot: the names that the page starts with (default: the ten digits, or cat,dog)',
    )
    parser.add_argument('--template', help='zero-shot: the prompt, with {} for the name')
    parser.add_argument('--device', help='cpu, cuda, ...; by default the best there is')
    _add_limits(parser)
    parser.add_argument('--debug', action='store_true', help='show the traceback of an error')
    return parser.parse_args(argv)


def _add_limits(parser: argparse.ArgumentParser) -> None:
    """Where the page is, and the most that it accepts."""
    parser.add_argument(
        '--host',
        default='127.0.0.1',
        help='address to listen at; by default only this machine can reach the page',
    )
    parser.add_argument('--port', type=int, default=7860)
    parser.add_argument(
        '--max-megabytes',
        type=float,
        default=20,
        metavar='N',
        help='largest upload (default %(default)g)',
    )
    parser.add_argument(
        '--max-total-megabytes',
        type=float,
        default=200,
        metavar='N',
        help='most that uploads and figures take on the disk (default %(default)g)',
    )
    parser.add_argument(
        '--max-megapixels',
        type=float,
        default=64,
        metavar='N',
        help='most pixels of a photo, in millions (default %(default)g)',
    )
