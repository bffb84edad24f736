"""Split files of the CoOp benchmark: JSON lists of train, val and test."""

import json
import logging
import os
import posixpath
import re
from collections.abc import Iterable, Sequence
from io import StringIO
from reprlib import Repr
from typing import NamedTuple

from mmengine.logging import print_log

from mmdpt.utils.files import read_regular

MAX_BYTES = 2**28  # of a file with lists; ImageNet's would have 90 MB
MAX_NAME = 300  # letters of a class name; ImageNet's longest has 121
CONTROLS = re.compile('[\x00-\x1f\x7f-\x9f\ud800-\udfff]')

_short = Repr()  # of what a file holds, however long and deep it is
_short.maxstring, _short.maxother = 120, 120


class Item(NamedTuple):
    """One image of a split list; equals the plain ``[path, label, name]``."""

    path: str  # relative to the benchmark's image folder
    label: int
    name: str


class Split(NamedTuple):
    """The three lists of a split file, in the file's order."""

    train: list[Item]
    val: list[Item]
    test: list[Item]


FORM = '{"train": [[path, label, class name], ...], "val": [...], "test": [...]}'


def read_split(path: str) -> Split:
    """Read a split file and check its form.

    Args:
        path (str): A JSON file ``{"train": [[path, label, class name], ...],
            "val": ..., "test": ...}``.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not JSON, lacks a list, or an item has another
            form; the message names the file and the place.
    """
    if not os.path.isfile(path):
        raise FileNotFoundError(f'The split file {path!r} does not exist.')
    try:
        lists = json.loads(read_lists(path), object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:  # also text that is not UTF-8
        raise ValueError(
            f'The split file {path!r} is not valid JSON ({error}). '
            'Download it again; links often save a web page instead.'
        ) from None
    if not isinstance(lists, dict):
        raise ValueError(
            f'The split file {path!r} holds a {type(lists).__name__}, expected {FORM}.'
        )
    if 'made_by' in lists:
        print_log(
            f'{path} is not the published split, but made by '
            f'{lists["made_by"]}: results differ from published ones.',
            logger='current',
            level=logging.WARNING,
        )
    return Split(*(_read_list(path, lists, key) for key in Split._fields))


def read_lists(path: str) -> str:
    """The text of a file that lists images or names.

    Raises:
        OSError: If there is no such file.
        ValueError: If it is no regular file, too large, or no UTF-8 text.
    """
    return read_regular(path, MAX_BYTES).decode('utf-8-sig')


def _once(pairs: list) -> dict:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError(f'a key of {_short.repr(list(found))} appears twice')
    return found


def read_text(path: str) -> list[str]:
    """The lines of a text file, without empty ones.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not UTF-8 text, or empty.
    """
    if not os.path.isfile(path):
        raise FileNotFoundError(f'The file {path!r} does not exist.')
    try:
        lines = [line.strip() for line in StringIO(read_lists(path), newline=None)]
    except UnicodeDecodeError:
        raise ValueError(f'The file {path!r} is no UTF-8 text. Download it again.') from None
    except ValueError as error:
        raise ValueError(f'The file {path!r} {error}.') from None
    lines = [line for line in lines if line]
    if not lines:
        raise ValueError(f'The file {path!r} is empty. Download it again.')
    return lines


def _read_list(path: str, lists: dict, key: str) -> list[Item]:
    if not isinstance(lists.get(key), list):
        raise ValueError(f'The split file {path!r} has no list {key!r}, expected {FORM}.')
    for i, item in enumerate(lists[key]):
        if not _is_item(item):
            raise ValueError(
                f'{key}[{i}] of the split file {path!r} is {_short.repr(item)}, expected '
                '[relative image path, label from 0, class name].'
            )
    return [Item(*item) for item in lists[key]]


def _is_item(item) -> bool:
    return (
        isinstance(item, list)
        and len(item) == 3
        and isinstance(item[0], str)
        and not os.path.isabs(item[0])
        and type(item[1]) is int
        and item[1] >= 0
        and isinstance(item[2], str)
        and not CONTROLS.search(item[0])
    )


def check_paths(split: Split, path: str) -> None:
    """Refuse an image that appears twice, in one list or in two.

    Raises:
        ValueError: Names the image and the lists; an image that is both
            learnt from and tested on makes the accuracy worthless.
    """
    seen: dict = {}
    for part, items in split._asdict().items():
        for item in items:
            name = posixpath.normpath(item.path)  # ./a.png and b/../a.png are a.png
            if name in seen:
                raise ValueError(
                    f'The image {item.path!r} appears twice in {path!r}, in '
                    f'the {seen[name]} list and in the {part} list. '
                    'Remove one of the two.'
                )
            seen[name] = part


def check_names(names: Iterable[str], source: str) -> None:
    """Refuse class names that cannot be shown.

    Raises:
        ValueError: If one is empty, longer than :data:`MAX_NAME`, or has line
            ends or other control characters.
    """
    for name in names:
        if not name.strip() or len(name) > MAX_NAME or CONTROLS.search(name):
            raise ValueError(
                f'{source!r} has the class name {_short.repr(name)}: a name has 1 to {MAX_NAME} '
                'letters and no control characters. Rename it.'
            )


def check_classes(split: Split, path: str, classes: Sequence[str] | None = None) -> tuple[str, ...]:
    """Check the labels and class names of a split.

    Args:
        split (Split): The lists.
        path (str): Their file, for messages.
        classes (Sequence[str], optional): The names to be expected, in label
            order.

    Returns:
        tuple[str]: The class names in label order.

    Raises:
        ValueError: If a label has two names, labels are missing among the
            training images, there are fewer than two classes, or names or
            order differ from ``classes``.
    """
    names: dict = {}
    for item in (item for items in split for item in items):
        if names.setdefault(item.label, item.name) != item.name:
            raise ValueError(
                f'Label {item.label} of {path!r} has two class names, '
                f'{_short.repr(names[item.label])} and {_short.repr(item.name)} '
                f'({_short.repr(item.path)}).'
            )
    if len(names) < 2:
        raise ValueError(
            f'{path!r} has too few classes: {_short.repr(list(names.values()))}; a classifier '
            'needs at least 2.'
        )
    check_names(names.values(), path)
    total = max(max(names) + 1, len(classes or ()))
    images = sum(map(len, split))
    if total > max(images, len(classes or ())):
        raise ValueError(
            f'{path!r} has the label {_short.repr(total - 1)}, but {images} images; labels must '
            'run from 0 without gaps.'
        )
    gaps = sorted(set(range(total)) - {item.label for item in split.train})
    if gaps:
        raise ValueError(
            f'The train list of {path!r} has no image with label(s) {_short.repr(gaps)}; '
            f'labels must run from 0 to {total - 1} without gaps.'
        )
    found = tuple(names[label] for label in range(total))
    if classes is not None and found != tuple(classes):
        raise ValueError(_difference(path, found, tuple(classes)))
    return found


def _difference(path: str, found: Sequence[str], expected: Sequence[str]) -> str:
    if len(found) != len(expected):
        return f'{path!r} has {len(found)} classes, the benchmark has {len(expected)}.'
    label = next(i for i, n in enumerate(found) if n != expected[i])
    kind = 'the class order' if sorted(found) == sorted(expected) else 'the class names'
    return (
        f'{path!r} differs from the benchmark in {kind}: label {label} '
        f'is {found[label]!r} instead of {expected[label]!r}. Use the '
        "benchmark's own split file, or define your own benchmark."
    )
