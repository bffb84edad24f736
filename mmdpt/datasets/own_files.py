"""Own photos: read a folder or a CSV file, divide images into lists."""

import os
import os.path as osp
import random
from collections import Counter
from collections.abc import Iterable, Sequence
from difflib import get_close_matches

from .index import SUFFIXES, class_folders, image_names
from .sampling import group_by_label
from .split_files import Item, Split

PARTS = Split._fields
PHONE = ('.heic', '.heif', '.avif', '.dng')  # what phones write and Pillow does not read
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
                f'{_without_image(folder, name)}'
            )
        found += [(f'{name}/{image}', name, None) for image in images]
    return found


def _without_image(folder: str, name: str) -> str:
    """What to do about a class folder without images."""
    others = _others(osp.join(folder, name), SUFFIXES)
    raw = [kind for kind in others if kind in PHONE]
    if raw:
        return (
            f'{others[raw[0]]} files end in {raw[0]}, which is not read: convert them to JPEG (on '
            f'a Mac: sips -s format jpeg *{raw[0]} --out . ; elsewhere: magick mogrify -format '
            f'jpg *{raw[0]} ; or set the camera to "most compatible").'
        )
    if others['/']:
        return (
            'It has folders: if those are the classes, give this folder instead (a config: '
            f'dataset.data_root={osp.join(folder, name)}); otherwise put the images directly into '
            'it.'
        )
    return 'Put images into it (jpg, png, webp, ...), or remove it.'


def skipped_files(folder: str) -> Counter:
    """What :func:`read_folder` does not read, by ending; hidden things are left out.

    Folders below the class folders count as '/'.
    """
    names = class_folders(folder)
    if 'train' in names and set(names) <= set(PARTS):
        below = [skipped_files(osp.join(folder, part)) for part in names]
    else:
        below = [_others(osp.join(folder, name), SUFFIXES) for name in names]
    here = _others(folder, ())
    del here['/']  # the class folders
    return sum(below, here)


def told_skipped(skipped: Counter) -> str:
    """How many are not read, in words."""
    kinds = ', '.join(
        f'{n} {"folders below the class folders" if kind == "/" else kind[:20]}'
        for kind, n in skipped.most_common(5)
    )
    return (
        f'{skipped.total()} files or folders are not read ({kinds}): photos lie in class folders '
        f'and end in {", ".join(SUFFIXES)}; convert others.'
    )


def _others(folder: str, read: tuple[str, ...]) -> Counter:
    with os.scandir(folder) as entries:
        return Counter(
            '/' if entry.is_dir() else osp.splitext(entry.name)[1].lower() or entry.name
            for entry in entries
            if not entry.name.startswith('.')
            and (entry.is_dir() or not entry.name.lower().endswith(read or '/'))
        )


def nearest(name: str, names: Iterable[str]) -> str:
    """A hint at the name that a slip of the pen may have meant, or ''."""
    found = get_close_matches(name, [other for other in names if other != name], 1)
    return f' (nearest: {found[0]!r})' if found else ''


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
                f'{nearest(same[0].name, {item.name for item in items})}'
            )
        train = min(max(round(len(same) * fractions[0]), 1), len(same) - least + 1)
        val = min(round(len(same) * fractions[1]), len(same) - train - least + 1)
        split.train.extend(same[:train])
        split.val.extend(same[train : train + val])
        split.test.extend(same[train + val :])
    return split
