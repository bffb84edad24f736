"""The benchmarks' class names, templates, folders and sizes.

The order of ``Benchmark.classes`` is the order of the labels, and it is kept
here only: split files are checked against it, models take it from here.
"""
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Optional, Tuple


@dataclass(frozen=True)
class Benchmark:
    """What is fixed about one benchmark.

    Args:
        name (str): The name used in configs.
        classes (tuple[str]): Class names in label order, as written in the
            split file (underscores become spaces only in the prompts).
        templates (tuple[str]): Hand-written prompts with one ``{}`` each.
        folder (str): The folder under ``data_root``.
        image_dir (str): The folder of the images, under ``folder``.
        split_file (str): The split file's name, under ``folder``.
        sizes (tuple[int], optional): Images in the train, val and test lists.
        source (str): What to download and where to put it, for messages.
    """
    name: str
    classes: Tuple[str, ...]
    templates: Tuple[str, ...]
    folder: str = ''
    image_dir: str = ''
    split_file: str = ''
    sizes: Optional[Tuple[int, int, int]] = None
    source: str = ''


# Folder, split and names: https://github.com/KaiyangZhou/CoOp, DATASETS.md.
EUROSAT = Benchmark(
    name='EuroSAT',
    classes=('Annual Crop Land', 'Forest', 'Herbaceous Vegetation Land',
             'Highway or Road', 'Industrial Buildings', 'Pasture Land',
             'Permanent Crop Land', 'Residential Buildings', 'River',
             'Sea or Lake'),
    templates=('a centered satellite photo of {}.', ),
    folder='eurosat',
    image_dir='2750',
    split_file='split_zhou_EuroSAT.json',
    sizes=(13500, 5400, 8100),
    source='Download EuroSAT.zip (http://madm.dfki.de/files/sentinel/'
    'EuroSAT.zip) and unpack it there, so that its folder "2750" lies in '
    '"eurosat"; put split_zhou_EuroSAT.json (https://drive.google.com/file/'
    'd/1Ip7yaCWFi0eaOFUGga0lUdVi_DDQth1o) beside "2750".')

# The handwritten digits that come with scikit-learn; nothing to download.
DIGITS = Benchmark(
    name='Digits',
    classes=('zero', 'one', 'two', 'three', 'four', 'five', 'six', 'seven',
             'eight', 'nine'),
    templates=('a photo of the digit {}.', ),
    sizes=(451, 447, 899))

BENCHMARKS = {b.name: b for b in (EUROSAT, DIGITS)}


def get_benchmark(name: str) -> Benchmark:
    """Look a benchmark up by its name; upper and lower case are the same.

    Raises:
        ValueError: If there is no such benchmark; the nearest names follow.
    """
    by_lower = {known.lower(): known for known in BENCHMARKS}
    lower = str(name).lower()
    if lower in by_lower:
        return BENCHMARKS[by_lower[lower]]
    near = get_close_matches(lower, by_lower, cutoff=0.5)
    hint = [by_lower[n] for n in near] or list(BENCHMARKS)
    raise ValueError(f'Unknown benchmark {name!r}. '
                     f'{"Nearest" if near else "Known"}: {", ".join(hint)}.')
