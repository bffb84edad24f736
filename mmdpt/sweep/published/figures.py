"""Accuracies that authors have published, each with the document where it was read.

Only what was read in a document is here, nothing from memory. The figures per dataset were read
in later papers that cite them, since the authors' own tables were not at hand. Where a method
has all eleven datasets, their mean is the average that the authors give, to 0.01: the tests
check it. Harmonic means are not kept: they follow.
"""

from typing import NamedTuple

DATASETS = (
    'imagenet',
    'caltech101',
    'oxfordpets',
    'stanfordcars',
    'flowers102',
    'food101',
    'fgvcaircraft',
    'sun397',
    'dtd',
    'eurosat',
    'ucf101',
)
AVERAGE = 'Average'
RMADAPTER = 'RMAdapter, AAAI 2026, Table 1, which cites the authors'
DISCOVL = 'DiscoVL, Table 1, which cites the authors'
MAPLE = 'README.md of github.com/muzairkhattak/multimodal-prompt-learning, section Results'
PROMPTSRC = 'README.md of github.com/muzairkhattak/PromptSRC, section Results'
ERF = 'ERF and GDM, AAAI 2026, Table 3, which cites the authors'
OURS = 'README.md of this project, section Measured here'

# source, and per dataset, in the order above, base and new; - where it was not legible
PER_DATASET = dict(
    coop=(
        RMADAPTER,
        """76.47 67.88  98.00 89.81  93.67 95.29  78.12 60.40  97.60 59.67  88.33 82.26
        40.44 22.30  80.60 65.89  79.44 41.18  92.19 54.74  84.69 56.05""",
    ),
    maple=(
        DISCOVL,
        """76.66 70.54  97.74 94.36  95.43 97.76  72.94 74.00  95.92 72.46  90.71 92.05
        37.44 35.61  80.82 78.70  80.36 59.18  94.07 73.23  83.00 78.66""",
    ),
    promptsrc=(
        DISCOVL,
        """77.60 70.73  98.10 94.03  95.33 97.30  78.27 74.97  98.07 76.50  90.67 91.53
        42.73 37.87  82.67 78.47  83.37 62.97  92.90 73.90  87.10 78.80""",
    ),
    tcp=(
        RMADAPTER,
        """77.27 69.87  98.23 94.67  94.67 97.20  80.80 74.13  97.73 75.57  90.57 91.37
        41.97 34.43  82.63 78.20  82.77 58.07  91.63 74.73  87.13 80.77""",
    ),
    mmrl=(
        DISCOVL,
        """77.90 71.30  98.97 94.50  - -  - -  98.97 77.27  90.57 91.50
        46.30 37.03  - -  85.67 65.00  95.60 80.17  - -""",
    ),
    twosfs=(
        DISCOVL,
        """77.71 70.99  98.71 94.43  - -  - -  98.29 76.17  89.11 91.34
        47.48 35.51  - -  84.60 65.01  96.91 67.09  - -""",
    ),
)
AVERAGES = dict(
    coop=(82.69, 63.22, MAPLE),
    maple=(82.28, 75.14, MAPLE),
    promptsrc=(84.26, 76.10, PROMPTSRC),
    tcp=(84.13, 75.36, RMADAPTER),
    mmrl=(85.68, 77.16, DISCOVL),
    twosfs=(85.55, 75.48, ERF),
)
DIGITS = {1: 81.5, 2: 85.0, 4: 89.0, 8: 91.3, 16: 93.2}  # of DPT, means of seeds 1 to 3


class Figure(NamedTuple):
    """A published accuracy in per cent.

    Attributes:
        dataset: A file of ``configs/_base_/datasets``, or 'Average'.
        target: 'base' or 'new'; '' for all classes.
        shots: Training images per class.
        accuracy: In per cent, a mean over seeds.
        source: Where it was read.
    """

    dataset: str
    target: str
    shots: int
    accuracy: float
    source: str


def figures(method: str, subset: str) -> list[Figure]:
    """What is known of a method; empty if nothing was found.

    Args:
        method (str): A file of ``configs/_base_/methods``.
        subset (str): 'base' for base-to-new with 16 shots, 'all' for few-shot learning.
    """
    if subset == 'all':
        known = DIGITS if method == 'dpt' else {}
        return [Figure('digits', '', shots, value, OURS) for shots, value in known.items()]
    source, text = PER_DATASET.get(method, ('', ''))
    places = [(dataset, target) for dataset in DATASETS for target in ('base', 'new')]
    found = [
        Figure(dataset, target, 16, float(value), source)
        for (dataset, target), value in zip(places, text.split())
        if value != '-'
    ]
    if method in AVERAGES:
        base, new, source = AVERAGES[method]
        parts = dict(base=base, new=new)
        found += [Figure(AVERAGE, part, 16, value, source) for part, value in parts.items()]
    return found
