"""List or clear the cache of frozen work: python tools/cache.py [list | clear]

Features of test images and of fixed views, and a teacher's logits, are kept in one folder if a
config says cache_dir=True: the one that the environment variable MMDPT_CACHE names, by default
work_dirs/cache. The list says what each file holds, its size and its last use.

    mmdpt cache
    mmdpt cache clear --older-than 30 --dry-run
    mmdpt cache clear --kind logits
    mmdpt cache clear --all

Only files that mmdpt wrote there go, as their headers say. Links are not followed, and what
another process is writing stays. Whatever is removed is computed again when it is needed.
"""

import argparse

from mmdpt.utils.outputs import OVERWRITE

from .common import described_parser

KINDS = ('features', 'pooled', 'logits')  # of mmdpt.utils.cache


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = described_parser(__doc__)
    parser.add_argument('action', nargs='?', choices=('list', 'clear'), default='list')
    parser.add_argument('--dir', metavar='FOLDER', help='another folder, as cache_dir names it')
    parser.add_argument(
        '--older-than', type=float, metavar='DAYS', help='only what was not used for so long'
    )
    parser.add_argument('--kind', choices=KINDS, help='only files of this kind')
    parser.add_argument('--all', action='store_true', help='clear: everything')
    parser.add_argument('--dry-run', action='store_true', help='clear: only say what would go')
    parser.add_argument('--json', metavar='FILE', help='write what is printed')
    parser.add_argument('--overwrite', **OVERWRITE)
    args = parser.parse_args(argv)
    filtered = args.older_than is not None or args.kind is not None
    if args.action == 'list' and (args.all or args.dry_run):
        parser.error('--all and --dry-run go with clear: mmdpt cache clear ...')
    if args.action == 'clear' and args.all == filtered:
        parser.error('clear needs either --all, or --older-than DAYS, --kind or both')
    if args.older_than is not None and not args.older_than >= 0:
        parser.error(f'--older-than {args.older_than:g}: give a number of days, 0 or more')
    return args
