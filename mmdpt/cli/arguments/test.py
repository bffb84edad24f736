"""Test a model: python tools/test.py CONFIG [CHECKPOINT] [--out F] [--tta] ...

The options are those of MMPretrain's tools/test.py. The checkpoint may be left
out only if the model learns nothing (zero-shot).
"""

import argparse

from mmdpt.utils.outputs import OVERWRITE

from .common import VERBOSE, Parser, add_common_arguments


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = Parser('test', description='Test a model')
    parser.add_argument('config', help='config file, or the name of a shipped one')
    parser.add_argument('checkpoint', nargs='?', help='checkpoint of the training')
    add_common_arguments(parser)
    parser.add_argument(
        '--out',
        metavar='FILE',
        help='write the metrics to FILE.json, or the predictions to FILE.pkl',
    )
    parser.add_argument(
        '--out-item',
        choices=['metrics', 'pred'],
        help='what to write to --out; by default metrics for .json, predictions for .pkl',
    )
    parser.add_argument('--overwrite', **OVERWRITE)
    parser.add_argument('--verbose', **VERBOSE)
    parser.add_argument('--amp', action='store_true', help='test with mixed precision')
    parser.add_argument(
        '--tta',
        action='store_true',
        help='test-time augmentation: tta_model and '
        'tta_pipeline of the config, else the mean over an image and its mirror image',
    )
    parser.add_argument(
        '--transductive',
        action='store_true',
        help='classify all images together (TransCLIP), which sees the test images without labels; '
        'also written to protocol_transductive.json, for a table of its own',
    )
    parser.add_argument(
        '--with-training-images',
        action='store_true',
        help='with --transductive: the few training images take part with their labels',
    )
    parser.add_argument('--show-dir', help='folder for images with their predictions')
    parser.add_argument('--show', action='store_true', help='show predictions in a window')
    parser.add_argument('--interval', type=int, default=1, help='draw every N-th image')
    parser.add_argument('--wait-time', type=float, default=2, help='seconds a window stays')
    return parser.parse_args(argv)
