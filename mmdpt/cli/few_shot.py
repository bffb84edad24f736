"""Print a few-shot draw: the lists, in order, and their hash.

The command line: arguments/few_shot.py.
"""

import os.path as osp
import sys

from ..datasets import get_layout
from ..datasets.sampling import draw_hash, group_by_label, sample_few_shot, select_classes
from ..datasets.split_files import read_split
from ..paths import spoken
from ..utils.files import write_json
from ..utils.outputs import Output, check_outputs
from ..utils.text import printable
from .arguments.few_shot import parse_args


def warn_of_few(train, shots):
    for items in group_by_label(train).values():
        if len(items) < shots:
            print(
                f'warning: class {items[0].name!r} has {len(items)} training '
                f'images, fewer than {shots}; all are taken',
                file=sys.stderr,
            )


def read_lists(args):
    """The lists of a file, or of a benchmark on disk."""
    if osp.isfile(args.split) or args.split.endswith('.json'):
        return read_split(args.split)
    split = get_layout(args.split, args.data_root).read()
    # where the test list doubles as the val list, only train is drawn
    return split._replace(val=[]) if split.val is split.test else split


def main(argv: list[str] | None = None) -> None:
    """The command."""
    args = parse_args(argv)
    try:
        data = args.split if osp.exists(args.split) else args.data_root
        check_outputs([Output('--json', args.json, 'json')], [data], args.overwrite)
        split = read_lists(args)
        drawn = sample_few_shot(split.train, split.val, args.shots, args.seed)
    except (OSError, ValueError) as error:
        sys.exit(spoken(f'error: {error}'))
    warn_of_few(split.train, args.shots)
    train, val = select_classes(drawn, args.classes)
    result = dict(
        split=osp.basename(args.split),
        shots=args.shots,
        seed=args.seed,
        classes=args.classes,
        train=train,
        val=val,
        hash=draw_hash(train, val),
    )
    for key in ('train', 'val'):
        for item in result[key]:
            print(key, *(printable(str(part)) for part in item), sep='\t')
    print('hash', result['hash'], sep='\t')
    if args.json:
        write_json(result, args.json, ensure_ascii=False, indent=1)
