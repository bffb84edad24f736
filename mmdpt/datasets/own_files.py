"""Own photos: read a folder or a CSV file, divide images into lists."""

import csv
import os.path as osp
import random
from collections.abc import Sequence

from .index import class_folders, image_names
from .sampling import group_by_label
from .split_files import Item, Split

PARTS = Split._fields
FORMS = (
    '(1) a folder with one subfolder of photos per class; (2) a folder '
    'with "train", "test" and perhaps "val", each like (1); (3) a .csv '
    'file with the columns path, label and perhaps split; (4) a split '
    'file (.json)'
)


def plain_name(name: str) -> str:
    """A class name without spaces and underscores, to compare by."""
    return ''.join(name.replace('_', ' ').split())


def read_folder(folder: str) -> list[tuple[str, str, str | None]]:
    """List a folder of class folders, or one with lists.

    Returns:
        list: (path, class name, 'train' | 'val' | 'test' | None), sorted.

    Raises:
        ValueError: If there is no class folder, or one has no image.
    """
    names = class_folders(folder)
    if 'train' in names and set(names) <= set(PARTS):
        return [
            (f'{part}/{path}', name, part)
            for part in PARTS
            if part in names
            for path, name, _ in read_folder(osp.join(folder, part))
        ]
    if not names:
        raise ValueError(f'The folder {folder!r} has no subfolders. Own data may be {FORMS}.')
    found: list[tuple[str, str, str | None]] = []
    for name in names:
        images = image_names(osp.join(folder, name))
        if not images:
            raise ValueError(
                f'The class folder {osp.join(folder, name)!r} has no image. '
                'Put images into it (jpg, png, webp, ...), or remove it.'
            )
        found += [(f'{name}/{image}', name, None) for image in images]
    return found


def read_csv(path: str, classes: Sequence[str] = ()) -> list[tuple[str, str, str | None]]:
    """Read a CSV file of path, label and perhaps split.

    A first line that starts with "path" names the columns; without one they
    are path, label, split. Numbers as labels count ``classes`` from 0.

    Returns:
        list: (path, class name, 'train' | 'val' | 'test' | None), as listed.

    Raises:
        ValueError: If a line has another form, an absolute path, or a label
            that does not fit ``classes``; the message names the line.
    """
    try:
        with open(path, encoding='utf-8-sig', newline='') as file:
            lines = [
                (i, [x.strip() for x in line]) for i, line in enumerate(csv.reader(file), 1) if line
            ]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f'{path!r} is not a CSV file in UTF-8 ({error}).') from None
    columns = ['path', 'label', 'split']
    if lines and lines[0][1][0].lower() == 'path':
        columns = [name.lower() for name in lines.pop(0)[1]]
    if not lines or 'label' not in columns:
        raise ValueError(
            f'{path!r} has no images: expected lines of path, '
            'label and perhaps split (train, val, test).'
        )
    rows = [_csv_row(path, *line, columns) for line in lines]
    known = {plain_name(name) for name in classes}
    numbers = all(row['label'].isdigit() for row in rows)
    if numbers and not classes:
        raise ValueError(
            f'The labels of {path!r} are numbers. The prompts '
            'need names: set dataset.classes="[first,second]", '
            'or write names into the file.'
        )
    for (number, _), row in zip(lines, rows):
        if numbers and int(row['label']) >= len(classes):
            raise ValueError(
                f'Line {number} of {path!r} has the label {row["label"]}, but '
                f'classes has {len(classes)} names, from 0 to '
                f'{len(classes) - 1}.'
            )
        if numbers:
            row['label'] = classes[int(row['label'])]
        elif classes and plain_name(row['label']) not in known:
            raise ValueError(
                f'Line {number} of {path!r} has the class {row["label"]!r}, '
                f'which is not in classes: {", ".join(classes)}.'
            )
    if len({row['split'] is None for row in rows}) > 1:
        raise ValueError(f'{path!r} names a split in some lines only; name it in all or in none.')
    return [(row['path'], row['label'], row['split']) for row in rows]


def _csv_row(path: str, number: int, values: list[str], columns: list[str]) -> dict:
    row: dict = dict(zip(columns, values))
    row['split'] = row.get('split') or None
    if (
        not row.get('path')
        or not row.get('label')
        or osp.isabs(row['path'])
        or row['split'] not in (None, *PARTS)
    ):
        raise ValueError(
            f'Line {number} of {path!r} is {",".join(values)!r}, expected '
            'path (relative), label and perhaps split (train, val, test).'
        )
    return row


def divide(items: Sequence[Item], fractions: Sequence[float], seed: int = 1) -> Split:
    """Divide images into lists, class by class, always in the same way.

    The rule of the public benchmark: the images of each class are shuffled
    and cut at the rounded shares. Unlike there the images are sorted first,
    and each class leaves at least one for train and, if it has a share, one
    for test.

    Args:
        items (Sequence[Item]): All images.
        fractions (Sequence[float]): Shares of train, val and test.
        seed (int): Seed of the shuffling. Defaults to 1.

    Raises:
        ValueError: If a class has too few images.
    """
    generator, split = random.Random(seed), Split([], [], [])
    for _, same in sorted(group_by_label(items).items()):
        same = sorted(same)
        generator.shuffle(same)
        least = 1 + (fractions[2] > 0)
        if len(same) < least:
            raise ValueError(
                f'The class {same[0].name!r} has {len(same)} image(s); train '
                f'and test need at least {least}. Add images.'
            )
        train = min(max(round(len(same) * fractions[0]), 1), len(same) - least + 1)
        val = min(round(len(same) * fractions[1]), len(same) - train - least + 1)
        split.train.extend(same[:train])
        split.val.extend(same[train : train + val])
        split.test.extend(same[train + val :])
    return split
