"""Pictures that are the same though their names differ, and ones that look alike."""

import os
import os.path as osp
import stat
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
from PIL import Image

from mmdpt.utils.files import open_regular, sha256_of

from .pictures import MAX_BYTES
from .split_files import Split

SAMPLE = 4096  # bytes that tell most files of equal size apart
ALIKE = 4  # of 64 bits of a perceptual hash may differ


class Place(NamedTuple):
    """Where a picture stands."""

    part: str  # train, val or test
    path: str
    name: str  # of its class

    def __str__(self) -> str:
        return f'{self.path!r} ({self.part})'


def places(split: Split) -> list[Place]:
    """All pictures of the lists; of a list that stands for two, once."""
    parts = split._asdict()
    if split.val is split.test:
        del parts['val']
    return [Place(part, item.path, item.name) for part, items in parts.items() for item in items]


def find_twins(folder: str, pictures: Iterable[Place]) -> list[list[Place]]:
    """Groups of pictures whose files have the same bytes: copies, links, other cases of a name.

    Only files of equal size are looked into, and only those whose samples
    are equal, too, are read.

    Args:
        folder (str): Where their paths start.
        pictures (Iterable[Place]): See :func:`places`. What is missing, empty
            or no regular file is left out.
    """
    groups = [list(pictures)]
    for trait in (_size, _sample, _digest):
        groups = [
            same
            for group in groups
            for same in _split(group, lambda p, trait=trait: trait(osp.join(folder, p.path)))
        ]
    return groups


def leaks(twins: list[list[Place]]) -> list[list[Place]]:
    """The groups that are in more than one list."""
    return [group for group in twins if len({place.part for place in group}) > 1]


def contradictions(twins: list[list[Place]]) -> list[list[Place]]:
    """The groups that are in more than one class."""
    return [group for group in twins if len({place.name for place in group}) > 1]


def told(groups: list[list[Place]], shown: int = 3) -> str:
    """The first groups, in words."""
    found = '; '.join(' = '.join(map(str, group[:shown])) for group in groups[:shown])
    return found + (f' and {len(groups) - shown} more' if len(groups) > shown else '')


def _split(group: list[Place], trait: Callable) -> list[list[Place]]:
    found = defaultdict(list)
    for place in group:
        try:
            value = trait(place)
        except (OSError, ValueError):
            continue
        if value is not None:
            found[value].append(place)
    return [same for same in found.values() if len(same) > 1]


def _size(path: str) -> int | None:
    found = os.stat(path)
    return found.st_size or None if stat.S_ISREG(found.st_mode) else None


def _sample(path: str) -> bytes:
    with open_regular(path, MAX_BYTES) as file:
        file.seek(os.fstat(file.fileno()).st_size // 2)  # beginnings are alike
        return file.read(SAMPLE)


def _digest(path: str) -> bytes:
    return sha256_of(path, MAX_BYTES).digest()


def perceptual_hash(pixels: np.ndarray) -> np.ndarray | None:
    """What a picture looks like; None without the library ImageHash.

    Args:
        pixels (np.ndarray): (H, W, 3) uint8.

    Returns:
        np.ndarray: (64,) bool.
    """
    try:
        from imagehash import phash
    except ImportError:
        return None
    return phash(Image.fromarray(pixels)).hash.flatten()


def find_alike(pictures: list[Place], hashes: np.ndarray) -> list[list[Place]]:
    """Pairs across lists that look alike.

    Args:
        pictures (list[Place]): N pictures.
        hashes (np.ndarray): (N, 64) bool, their perceptual hashes.
    """
    signs = np.where(hashes, np.float32(1), np.float32(-1))
    parts = np.array([place.part for place in pictures])
    pairs = []
    for start in range(0, len(pictures), 4096):
        block = slice(start, start + 4096)
        different = (64 - signs[block] @ signs.T) / 2
        different[parts[block, None] == parts[None]] = 64
        pairs += [(start + i, j) for i, j in np.argwhere(different <= ALIKE) if start + i < j]
    return [[pictures[i], pictures[j]] for i, j in pairs]
