"""Classify photos: python tools/predict.py CHECKPOINT IMAGE_OR_FOLDER... [--top-k K]

Zero-shot, with class names alone:

    python tools/predict.py zero-shot photos/ --classes "cat,dog"

See docs/predict.md.
"""

import argparse

from mmdpt.utils.outputs import OVERWRITE

from .common import PRETRAINED, described_parser

ZERO_SHOT = 'zero-shot'


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = described_parser(__doc__)
    add_model(parser)
    parser.add_argument('--top-k', type=int, default=1, metavar='K', help='classes to show')
    parser.add_argument(
        '--transductive',
        action='store_true',
        help='classify all photos together (TransCLIP): each depends on the others, and all are '
        'looked at before the first is told',
    )
    parser.add_argument(
        '--reject',
        action='store_true',
        help='say "not sure" where the probability is below the threshold of a calibrated '
        'checkpoint (mmdpt calibrate)',
    )
    _add_outputs(parser)
    return parser.parse_args(argv)


def add_model(parser: argparse.ArgumentParser) -> None:
    """Which model looks at which photos."""
    parser.add_argument('checkpoint', help=f'file that training wrote, or {ZERO_SHOT}')
    parser.add_argument(
        'images',
        nargs='+',
        metavar='image',
        help='image files, or folders, which stand for all images below them',
    )
    parser.add_argument(
        '--classes',
        metavar='"A,B,..."',
        help='other class names: separated by commas, or a .txt file with one per line',
    )
    parser.add_argument(
        '--templates',
        '--template',
        nargs='+',
        metavar='TEXT',
        help='hand-written prompts such as "a photo of a {}.", or a .txt file with one per line',
    )
    parser.add_argument(
        '--descriptions',
        metavar='FILE',
        help='sentences of each class in place of templates, a .json or .csv file',
    )
    parser.add_argument(
        '--config',
        help='config file of the training, for checkpoints that do '
        'not carry theirs; it is run as Python',
    )
    parser.add_argument('--arch', help=f'{ZERO_SHOT}: the CLIP (default ViT-B-16-quickgelu)')
    parser.add_argument(
        '--pretrained', **dict(PRETRAINED, help=f'{PRETRAINED["help"]}, else openai')
    )


def add_running(parser: argparse.ArgumentParser) -> None:
    """How it runs."""
    parser.add_argument('--batch-size', type=int, default=32, metavar='B', help='images at once')
    parser.add_argument(
        '--workers',
        type=int,
        metavar='N',
        help='processes that load images (by default none on the CPU, up to 8 with a GPU)',
    )
    parser.add_argument('--device', help='cpu, cuda, ...; by default the best there is')
    parser.add_argument(
        '--no-upright',
        action='store_true',
        help='do not rotate photos by EXIF, as in the benchmarks and the command test',
    )


def _add_outputs(parser: argparse.ArgumentParser) -> None:
    """How it runs, and where the answers go."""
    add_running(parser)
    parser.add_argument(
        '--json',
        metavar='FILE',
        help='write the predictions there, too, as a list; or line by line if it ends in .jsonl',
    )
    parser.add_argument('--csv', metavar='FILE', help='write a table there, too')
    parser.add_argument('--overwrite', **OVERWRITE)
    parser.add_argument('--quiet', action='store_true', help='no table on the screen')
    parser.add_argument('--debug', action='store_true', help='show the traceback of an error')
