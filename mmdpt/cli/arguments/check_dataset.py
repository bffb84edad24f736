"""Check datasets on disk: layout, lists, counts, class order, images.

    python tools/check_dataset.py EuroSAT --data-root data
    python tools/check_dataset.py all --data-root data --deep
    python tools/check_dataset.py photos

The first argument is a benchmark, "all", or your own folder, CSV or split
file. Exit status 1 if anything is wrong; each line says what to do.
"""

import argparse
import os

from mmdpt.paths import spoken
from mmdpt.utils.outputs import OVERWRITE


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=spoken(__doc__), formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument('data', help='a benchmark, "all", or a path')
    parser.add_argument('--data-root', default='data', help="folder of the benchmarks' folders")
    parser.add_argument('--deep', action='store_true', help='decode every image (slower)')
    parser.add_argument(
        '--workers', type=int, default=os.cpu_count(), help='processes that read images'
    )
    parser.add_argument('--json', metavar='FILE', help='write the result here')
    parser.add_argument('--overwrite', **OVERWRITE)
    return parser.parse_args(argv)
