"""Photos in any form: read and checked, a test part held out, folds dealt."""

import os
import os.path as osp
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from mmdpt.datasets import get_layout, own_benchmark
from mmdpt.datasets.doctor import check_dataset
from mmdpt.datasets.layouts import Layout
from mmdpt.datasets.own_files import FORMS, divide
from mmdpt.datasets.sampling import group_by_label, sample_few_shot
from mmdpt.datasets.split_files import Item, Split
from mmdpt.datasets.twins import find_twins, places
from mmdpt.utils.files import write_json

SHARES = (0.75, 0.0, 0.25)  # of a class: training, -, held-out test
LEAST = 3  # photos of a class, of which one can be held out
MOST_FOLDS = 5
SHOWN = 5  # classes that a warning names


@dataclass(frozen=True)
class Photos:
    """Photos in a training and a test part.

    Attributes:
        source: What was given.
        folder: Where their paths start.
        classes: Names in label order.
        train: The training part.
        test: The held-out part, perhaps empty.
        held_out: 'given', 'drawn' or 'none', see ``fit_schema.Data``.
        warnings: What is to be known about them.
    """

    source: str
    folder: str
    classes: tuple[str, ...]
    train: list[Item]
    test: list[Item]
    held_out: Literal['given', 'drawn', 'none']
    warnings: tuple[str, ...] = ()

    def warned(self, *texts: str) -> 'Photos':
        """The same with further warnings."""
        return replace(self, warnings=(*self.warnings, *texts))


def read_photos(path: str, seed: int = 1, shots: int | None = None, image_dir: str = '') -> Photos:
    """Read photos, check them, hold out a test part.

    Args:
        path (str): A folder, a CSV or a split file; see :func:`mmdpt.datasets.own_benchmark`.
        seed (int): Of the draws.
        shots (int, optional): Use at most so many training photos per class.
        image_dir (str): Where the paths of a file start, seen from it.

    Raises:
        FileNotFoundError: If there is nothing.
        ValueError: If something is wrong with them; each finding says what to do.
    """
    benchmark = own_benchmark('Photos', image_dir=image_dir, fractions=(1, 0, 0))
    benchmark = replace(benchmark, source=f'PHOTOS may be {FORMS}.')  # no config names them
    layout = get_layout(benchmark, osp.expanduser(path))
    layout.check()
    findings = check_dataset(layout)
    wrong = [finding.text for finding in findings if not finding.ok]
    if wrong:
        raise ValueError(f'{path!r} is not in order: {"; ".join(wrong)}')
    split, warnings = layout.lists(), [finding.text for finding in findings if finding.note]
    train, copies = _once(layout, split)
    if copies:
        warnings.append(f'{copies} photos are copies of others of their class, which count once')
    held_out: Literal['given', 'drawn', 'none'] = 'given'
    test = list(split.test)
    if not test:
        train, test = hold_out(train, seed)
        held_out = 'drawn' if test else 'none'
        warnings += told_of_few(train, test, layout.class_names())
    if shots is not None:
        train = [Item(*item) for item in sample_few_shot(train, [], shots, seed)[0]]
    return Photos(
        path,
        osp.abspath(layout.images),
        layout.class_names(),
        sorted(train, key=lambda item: (item.label, item.path)),
        test,
        held_out,
        tuple(warnings),
    )


def _once(layout: Layout, split: Split) -> tuple[list[Item], int]:
    """The training and validation photos without copies, and how many those are."""
    items = [*split.train, *split.val]
    twins = find_twins(layout.images, places(Split(items, [], [])))
    copies = {place.path for group in twins for place in sorted(group)[1:]}
    return [item for item in items if item.path not in copies], len(copies)


def hold_out(items: Sequence[Item], seed: int) -> tuple[list[Item], list[Item]]:
    """Hold out a quarter of each class that has at least 3 photos.

    Returns:
        tuple: The training part, which has photos of every class, and the test part.
    """
    groups = group_by_label(items).values()
    split = divide([item for same in groups if len(same) >= LEAST for item in same], SHARES, seed)
    few = [item for same in groups if len(same) < LEAST for item in same]
    return [*split.train, *few], split.test


def told_of_few(train: Sequence[Item], test: Sequence[Item], names: Sequence[str]) -> list[str]:
    """What is done where a class has too few photos to hold one out."""
    tested = {item.label for item in test}
    counts = Counter(item.label for item in train)
    few = [names[label] for label in sorted(counts) if label not in tested]
    if not few:
        return []
    if tested:
        return [
            f'{_listed(few)}: fewer than {LEAST} photos, so none is held out; the accuracy says '
            'nothing about these classes'
        ]
    if max(counts.values()) < 2:
        return [
            'each class has a single photo: nothing can be held out or compared, so the method '
            'is chosen without a test and no accuracy is known; add photos'
        ]
    return [
        f'no class has {LEAST} photos: none is held out, the model learns from all, and the '
        'accuracy is that of the cross-validation, which has chosen the method and flatters it'
    ]


def _listed(names: Sequence[str]) -> str:
    more = f' and {len(names) - SHOWN} more' if len(names) > SHOWN else ''
    return f'{", ".join(repr(name) for name in names[:SHOWN])}{more}'


def deal(items: Sequence[Item], seed: int, most: int = MOST_FOLDS) -> list[Split]:
    """Deal photos into folds: each is in the test list of one, its class in all training lists.

    The photos of each class are shuffled and dealt one by one, each class going on where the one
    before has ended. The only photo of a class is in all training lists and in no test list.

    Args:
        items (Sequence[Item]): The training part.
        seed (int): Of the shuffling.
        most (int): Folds, unless the largest class has fewer photos.

    Returns:
        list[Split]: Train and test list per fold; none if each class has a single photo.
    """
    groups = sorted(group_by_label(items).items())
    largest = max(len(same) for _, same in groups)
    if largest < 2:
        return []
    folds, generator, fold_of, turn = min(most, largest), random.Random(seed), {}, 0
    for _, same in groups:
        if len(same) > 1:
            for item in generator.sample(same, len(same)):
                fold_of[item.path], turn = turn % folds, turn + 1
    parts = range(folds)
    return [
        Split(
            [item for item in items if fold_of.get(item.path) != fold],
            [],
            [item for item in items if fold_of.get(item.path) == fold],
        )
        for fold in parts
    ]


def thinned(items: Sequence[Item], part: float, seed: int) -> list[Item]:
    """A part of each class's photos, at least one; a smaller part is contained in a larger one."""
    generator, kept = random.Random(seed), []
    for _, same in sorted(group_by_label(items).items()):
        shuffled = generator.sample(same, len(same))
        kept += shuffled[: max(1, round(part * len(same)))]
    return sorted(kept, key=lambda item: (item.label, item.path))


def write_split(split: Split, path: str) -> str:
    """Write a split file; return its path."""
    os.makedirs(osp.dirname(path), exist_ok=True)
    write_json(
        {part: [list(item) for item in items] for part, items in split._asdict().items()}, path
    )
    return path
