"""Turn a trained model into files that need no mmdpt:

    python tools/export.py CHECKPOINT [--format torch onnx] [--out DIR|PREFIX]

Each file is checked against the model; see docs/export.md.
"""

import argparse

from mmdpt.utils.outputs import OVERWRITE

from .common import PRETRAINED, described_parser

FORMATS = ('torch', 'onnx')  # of mmdpt.export, which takes seconds to import


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = described_parser(__doc__)
    parser.add_argument(
        'checkpoint',
        nargs='?',
        help='checkpoint of the training; left out for zero-shot CLIP, with --config',
    )
    parser.add_argument(
        '--config',
        help='config file, for checkpoints that do not carry their '
        'own, and for methods that learn nothing',
    )
    parser.add_argument('--pretrained', **PRETRAINED)
    parser.add_argument(
        '--format',
        nargs='+',
        choices=list(FORMATS),
        default=list(FORMATS),
        help='torch: torch.export, .pt2; onnx: .onnx; by default both',
    )
    parser.add_argument(
        '--out',
        metavar='DIR|PREFIX',
        help='an existing folder (or a name with / '
        'at the end), or the file name without its ending; by default the '
        "checkpoint's",
    )
    parser.add_argument(
        '--batch',
        default='dynamic',
        metavar='dynamic|N',
        help='number of images at once: any (default), or exactly N',
    )
    parser.add_argument('--opset', type=int, metavar='N', help="ONNX opset; by default PyTorch's")
    parser.add_argument(
        '--time',
        type=int,
        default=0,
        metavar='ROUNDS',
        help='also time ROUNDS single images on one thread, eager and exported',
    )
    parser.add_argument('--json', metavar='FILE', help='write what is printed there, too')
    parser.add_argument('--overwrite', **OVERWRITE)
    parser.add_argument('--debug', action='store_true', help='show the traceback of an error')
    return parser.parse_args(argv)
