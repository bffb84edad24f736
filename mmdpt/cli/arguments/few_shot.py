"""Print a few-shot draw: the lists, in order, and their hash.

python tools/few_shot.py split_zhou_EuroSAT.json --shots 16 --seed 1
python tools/few_shot.py ImageNet --data-root data --shots 16 --seed 1
"""

import argparse

from mmdpt.paths import spoken
from mmdpt.utils.outputs import OVERWRITE

SUBSETS = ('all', 'base', 'new')  # of mmdpt.datasets, which takes seconds to import


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=spoken(__doc__), formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        'split',
        help='a split file {"train": [[path, label, name], ...], "val", "test"}, or a benchmark',
    )
    parser.add_argument('--data-root', default='data', help="folder of the benchmarks' folders")
    parser.add_argument('--shots', type=int, required=True)
    parser.add_argument('--seed', type=int, required=True)
    parser.add_argument('--classes', choices=SUBSETS, default='all')
    parser.add_argument('--json', metavar='FILE', help='write the result here')
    parser.add_argument('--overwrite', **OVERWRITE)
    return parser.parse_args(argv)
