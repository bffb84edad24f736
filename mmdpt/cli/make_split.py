"""Make a split file from the raw images, where the published one is missing.

The command line: arguments/make_split.py.
"""

import os.path as osp
import sys

from ..datasets import draw_hash, get_layout, own_benchmark
from ..datasets.raw import make_split
from ..paths import spoken
from ..utils.files import write_json
from .arguments.make_split import parse_args


def make(args):
    """The split and where it goes."""
    if osp.exists(args.data):
        if not args.out:
            raise ValueError(
                f'{args.data} is your own: say where to write '
                'the split with --out FILE.json. Its paths '
                f'start in {args.data}.'
            )
        if args.seed != 1:
            raise ValueError(
                '--seed is for benchmarks; own data are always divided in the same way.'
            )
        return get_layout(own_benchmark(), args.data).read(), args.out
    layout = get_layout(args.data, args.data_root)
    split = make_split(layout, args.seed)
    return split, args.out or layout.path(layout.benchmark.split_file)


def main(argv: list[str] | None = None) -> None:
    """The command."""
    args = parse_args(argv)
    try:
        split, path = make(args)
        if osp.exists(path):
            raise ValueError(
                f'{path} is there already; remove it first, or '
                'write elsewhere with --out FILE.json.'
            )
        digest = draw_hash(split.train, split.val + split.test)
        content = dict(
            split._asdict(),
            made_by=dict(tool='mmdpt tools/make_split.py', seed=args.seed, hash=digest),
        )
        write_json(content, path, ensure_ascii=False)
    except (OSError, ValueError) as error:
        sys.exit(spoken(f'error: {error}'))
    print(
        f'{path}: {"/".join(str(len(part)) for part in split)} images '
        f'(train/val/test), {len({i.label for i in split.train})} classes'
    )
    print('hash', digest, sep='\t')
    print(
        'This is not the published split: results differ from published '
        'ones. Give the hash with them.'
    )
