"""Draw where a model looks: python tools/visualize_attention.py CHECKPOINT IMAGE... [--out DIR]

For each image one figure: the image as the network saw it, the classes with
their zero-shot ranks, the class token's attention with and without prompts,
and the class-aware prompts' attention. See docs/attention.md.
"""

import argparse

from mmdpt.utils.outputs import OVERWRITE

from .common import PRETRAINED


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description='Draw where a trained model looks')
    parser.add_argument('checkpoint', help='checkpoint of the training')
    parser.add_argument('images', nargs='+', metavar='image', help='image files')
    parser.add_argument('--config', help='config file, for checkpoints that do not carry their own')
    parser.add_argument('--pretrained', **PRETRAINED)
    parser.add_argument(
        '--out',
        default='attention',
        metavar='DIR|FILE',
        help='folder for IMAGE.png of each image, or, of one image, the .png or '
        '.pdf file to write; by default the folder attention',
    )
    parser.add_argument('--overwrite', **OVERWRITE)
    parser.add_argument(
        '--top-k',
        type=int,
        metavar='K',
        help='classes to show; by default all that the model has class-aware prompts for, else 5',
    )
    parser.add_argument('--device', help='cpu, cuda, ...; by default the best there is')
    parser.add_argument('--debug', action='store_true', help='show the traceback of an error')
    return parser.parse_args(argv)
