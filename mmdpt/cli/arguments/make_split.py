"""Make a split file from the raw images, where the published one is missing.

    python tools/make_split.py EuroSAT --data-root data
    python tools/make_split.py photos --out photos/split.json

The first argument is a benchmark, or your own folder or CSV file. The split
has the benchmark's proportions and class names, always the same from the same
images, and is not the published one: results then differ from
published ones.
"""

import argparse

from mmdpt.paths import spoken


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=spoken(__doc__), formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument('data', help='name of a benchmark, or a path')
    parser.add_argument('--data-root', default='data', help="folder of the benchmarks' folders")
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--out', help='where to write; by default where the benchmark expects it')
    return parser.parse_args(argv)
