"""Print a few-shot draw of a split file: the lists, in order, and their hash.

python tools/few_shot.py split_zhou_EuroSAT.json --shots 16 --seed 1
"""
import argparse
import json
import os.path as osp
import sys

from mmdpt.datasets.sampling import (SUBSETS, draw_hash, group_by_label,
                                     sample_few_shot, select_classes)
from mmdpt.datasets.split_files import read_split


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        'split', help='{"train": [[path, label, name], ...], "val", "test"}')
    parser.add_argument('--shots', type=int, required=True)
    parser.add_argument('--seed', type=int, required=True)
    parser.add_argument('--classes', choices=SUBSETS, default='all')
    parser.add_argument('--json', metavar='FILE', help='write the result here')
    return parser.parse_args()


def warn_of_few(train, shots):
    for items in group_by_label(train).values():
        if len(items) < shots:
            print(
                f'warning: class {items[0].name!r} has {len(items)} training '
                f'images, fewer than {shots}; all are taken',
                file=sys.stderr)


def main():
    args = parse_args()
    try:
        split = read_split(args.split)
        drawn = sample_few_shot(split.train, split.val, args.shots, args.seed)
    except (OSError, ValueError) as error:
        sys.exit(f'error: {error}')
    warn_of_few(split.train, args.shots)
    train, val = select_classes(drawn, args.classes)
    result = dict(
        split=osp.basename(args.split),
        shots=args.shots,
        seed=args.seed,
        classes=args.classes,
        train=train,
        val=val,
        hash=draw_hash(train, val))
    for key in ('train', 'val'):
        for item in result[key]:
            print(key, *item, sep='\t')
    print('hash', result['hash'], sep='\t')
    if args.json:
        with open(args.json, 'w', encoding='utf-8') as file:
            json.dump(result, file, ensure_ascii=False, indent=1)


if __name__ == '__main__':
    main()
