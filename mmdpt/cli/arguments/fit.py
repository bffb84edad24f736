"""Make a classifier from your own photos, and a report on how far it can be trusted.

    python tools/fit.py photos
    python tools/fit.py photos --templates "a photo of a {}, a type of fruit." --minutes 20
    python tools/fit.py photos.csv --method gda coop --out work_dirs/mugs

PHOTOS is a folder with one subfolder of photos per class; or with train/, test/ and
perhaps val/; a CSV file (path, label and perhaps split); a split file (JSON); or a
data set of Hugging Face's on the disk (pip install 'mmdpt[hf]').

A test part is held out; methods are compared by cross-validation on the rest, as many
as fit into the time; the simplest of the best is trained on all of the rest and tested
once. docs/fit.md explains it.
"""

import argparse

from mmdpt.utils.outputs import OVERWRITE

from .common import described_parser


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = described_parser(__doc__)
    parser.add_argument('photos', metavar='PHOTOS', help='folder, CSV, split file or data set')
    parser.add_argument('--out', metavar='FOLDER', help='results (default: work_dirs/fit_NAME)')
    parser.add_argument(
        '--minutes', type=float, default=5.0, help='the time for all of it (default: 5)'
    )
    parser.add_argument(
        '--method', nargs='+', metavar='M', help='choose among these, such as gda coop dpt'
    )
    parser.add_argument('--shots', type=int, metavar='N', help='use N training photos per class')
    parser.add_argument(
        '--arch', help='architecture of CLIP (default: the best whose weights are here)'
    )
    parser.add_argument('--pretrained', help="CLIP's weights, a tag or a file (default: openai)")
    parser.add_argument(
        '--templates', nargs='+', metavar='TEXT', help='prompts with one {}, in quotation marks'
    )
    parser.add_argument('--image-dir', default='', help='where the paths of a file start')
    parser.add_argument('--seed', type=int, default=1, help='of draws and trainings (default: 1)')
    parser.add_argument(
        '--write-config', metavar='FILE', help="write the chosen method's config, for mmdpt train"
    )
    parser.add_argument(
        '--refit-all',
        action='store_true',
        help='afterwards train on all photos, held-out ones too: model_all.pth, which nothing '
        'can test; its time comes on top of --minutes',
    )
    parser.add_argument('--json', metavar='FILE', help='write fit.json here, too')
    parser.add_argument('--overwrite', **OVERWRITE)
    parser.add_argument('--debug', action='store_true', help='show the full traceback of an error')
    args = parser.parse_args(argv)
    if not 0 < args.minutes < 100_000:
        parser.error('--minutes must be a number above 0')
    if args.shots is not None and args.shots < 1:
        parser.error('--shots must be at least 1')
    return args
