"""Train a model: python tools/train.py CONFIG [--work-dir D] [--resume] ...

The options are those of MMPretrain's tools/train.py, and --seed.
"""

import argparse

from .common import VERBOSE, Parser, add_common_arguments


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = Parser('train', description='Train a model')
    parser.add_argument('config', help='config file, or the name of a shipped one')
    add_common_arguments(parser)
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='CHECKPOINT',
        help='go on with a training: from CHECKPOINT, or from the last one in the work directory',
    )
    parser.add_argument(
        '--resume-with-changes',
        action='store_true',
        help='go on with other images or settings than the checkpoint was trained with; they are '
        'noted in the checkpoints and in results.json',
    )
    parser.add_argument('--amp', action='store_true', help='train with mixed precision')
    parser.add_argument(
        '--no-validate', action='store_true', help='do not validate during the training'
    )
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help='scale the learning rate with the total batch size',
    )
    parser.add_argument(
        '--no-persistent-workers',
        action='store_true',
        help='start the loading processes again in each epoch',
    )
    parser.add_argument('--verbose', **VERBOSE)
    return parser.parse_args(argv)
