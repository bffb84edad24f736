"""Calibrate a trained model: python tools/calibrate.py CHECKPOINT [--keep 0.95]

Finds, on images that the model has not learnt from, the temperature that makes its probabilities
believable, and the probability below which "not sure" is the better answer. A copy of the
checkpoint carries both, for the commands predict (--reject), export and demo.

See docs/not_sure.md.
"""

import argparse

from .common import PRETRAINED, described_parser


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = described_parser(__doc__)
    parser.add_argument('checkpoint', help='file that training wrote')
    parser.add_argument(
        '--keep',
        type=float,
        default=0.95,
        metavar='SHARE',
        help='share of the right answers that the threshold keeps (default 0.95)',
    )
    parser.add_argument(
        '--on',
        choices=['val', 'train', 'test'],
        help='images: val, the few-shot validation images (default, if there are any); train, '
        'the training images by cross-validation, which trains again FOLDS times; or test',
    )
    parser.add_argument('--folds', type=int, default=5, metavar='FOLDS', help='of --on train')
    parser.add_argument(
        '--config',
        help='config of the training, which is run as Python; by default the one that training '
        'left beside the checkpoint is read, without running it',
    )
    parser.add_argument('--pretrained', **PRETRAINED)
    parser.add_argument(
        '--out', metavar='FILE', help='the new checkpoint (default CHECKPOINT_calibrated.pth)'
    )
    parser.add_argument('--json', metavar='FILE', help='write what is printed there, too')
    parser.add_argument('--debug', action='store_true', help='show the traceback of an error')
    return parser.parse_args(argv)
