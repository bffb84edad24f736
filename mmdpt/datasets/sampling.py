"""Few-shot draws and base/new class subsets, equal to the public benchmark.

The rules are those of Dassl's ``DatasetBase.generate_fewshot_dataset`` and
CoOp's ``OxfordPets.subsample_classes``. An item is ``(path, label, name)``.
"""

import hashlib
import json
import random
from collections import defaultdict
from collections.abc import Sequence

from mmdpt.utils.checks import check_least

from .benchmarks import Benchmark
from .split_files import Item

MAX_VAL_SHOTS = 4
SUBSETS = ('all', 'base', 'new')


def sample_few_shot(train: Sequence, val: Sequence, shots: int, seed: int) -> tuple[list, list]:
    """Draw ``shots`` training items per class and ``min(shots, 4)`` for val.

    Both draws use one generator, train first, so the val draw depends on the
    train list. A class with fewer items keeps them all, in list order.

    Args:
        train (Sequence): Training items.
        val (Sequence): Validation items, possibly none.
        shots (int): Items per class, at least 1.
        seed (int): Seed of the draw, at least 0.

    Returns:
        tuple[list, list]: The drawn train and val items, class by class in
        order of each class's first appearance.

    Raises:
        TypeError: If ``shots`` or ``seed`` is not a whole number.
        ValueError: If ``shots`` < 1 or ``seed`` < 0.
    """
    check_least('shots', shots, 1)
    check_least('seed', seed, 0)
    generator = random.Random(int(seed))
    return (
        _draw(train, int(shots), generator),
        _draw(val, min(int(shots), MAX_VAL_SHOTS), generator),
    )


def _draw(items: Sequence, shots: int, generator: random.Random) -> list:
    drawn = []
    for same in group_by_label(items).values():
        drawn += generator.sample(same, shots) if len(same) >= shots else same
    return drawn


def check_enough(
    benchmark: Benchmark, labels: Sequence[int], items: Sequence, shots: int, split: str
) -> None:
    """Refuse a class with fewer images than are to be drawn.

    Args:
        benchmark (Benchmark): For messages.
        labels (Sequence[int]): The classes that count.
        items (Sequence): The list that is drawn from; an empty one passes.
        shots (int): Training images per class.
        split (str): 'train' or 'val'.

    Raises:
        ValueError: Names the classes, and the remedy.
    """
    needed = min(shots, MAX_VAL_SHOTS) if split == 'val' else shots
    groups = group_by_label(items)
    few = {benchmark.classes[i]: len(groups[i]) for i in labels if len(groups[i]) < needed}
    if few and len(items):
        found = ', '.join(f'{name!r} has {n}' for name, n in few.items())
        raise ValueError(
            f'{benchmark.name}: shots={shots} needs {needed} {split} images per class, but '
            f'{found}. Ask for fewer shots, add images, or set allow_fewer=True to take what '
            'there is, as the public benchmark does.'
        )


def group_by_label(items: Sequence) -> dict[int, list]:
    """Items of each label; labels in order of their first appearance."""
    if hasattr(items, 'groups'):  # a long list that knows its classes
        return items.groups()
    groups = defaultdict(list)
    for item in items:
        groups[item[1]].append(item)
    return groups


def subset_labels(labels: Sequence[int], subset: str) -> list[int]:
    """The labels of the first half (base), the second half (new), or all.

    With an odd number of classes the base half is the larger one.

    Raises:
        ValueError: If ``subset`` is not 'all', 'base' or 'new'.
    """
    if subset not in SUBSETS:
        raise ValueError(f'subset must be one of {SUBSETS}, got {subset!r}.')
    labels = sorted(set(labels))
    half = (len(labels) + 1) // 2
    return {'all': labels, 'base': labels[:half], 'new': labels[half:]}[subset]


def select_classes(lists: Sequence[Sequence], subset: str) -> list[list]:
    """Keep the base or the new classes and number their labels from 0.

    Few-shot sampling comes first, so that base and new share the images of
    the full problem.

    Args:
        lists (Sequence[Sequence]): Lists of items; the labels of the first
            one (train) define the halves.
        subset (str): 'all', 'base' or 'new'. 'all' changes nothing.

    Returns:
        list[list]: The lists with the selected items, order kept.
    """
    kept = subset_labels([item[1] for item in lists[0]], subset)
    if subset == 'all':
        return [list(items) for items in lists]
    new_label = {label: i for i, label in enumerate(kept)}
    return [
        [Item(path, new_label[label], name) for path, label, name in items if label in new_label]
        for items in lists
    ]


def draw_hash(train: Sequence, val: Sequence, protocol: dict | None = None) -> str:
    """SHA-256 of a draw: the same images in the same order, the same hash.

    It is computed from the UTF-8 JSON ``{"train":[[path,label,name],...],
    "val":[...]}`` without spaces and with non-ASCII letters as they are; under other
    conditions than the benchmark's, with their ``"protocol":{...}`` behind it.

    Returns:
        str: 64 hexadecimal digits.
    """
    digest = hashlib.sha256()
    for start, items in (('{"train":[', train), ('],"val":[', val)):
        for item in items:  # one by one: a list may have a million
            text = json.dumps(list(item), ensure_ascii=False, separators=(',', ':'))
            digest.update(f'{start}{text}'.encode(errors='surrogateescape'))  # any file name
            start = ','
        if start != ',':
            digest.update(start.encode('utf-8'))
    more = json.dumps(protocol, sort_keys=True, separators=(',', ':')) if protocol else ''
    digest.update(f'],"protocol":{more}}}'.encode() if more else b']}')
    return digest.hexdigest()
