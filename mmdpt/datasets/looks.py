"""Read images in several processes and tell what each is like."""

import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from typing import NamedTuple

import numpy as np
from mmengine.utils import ProgressBar

from mmdpt.utils.files import open_regular

from .pictures import MAX_BYTES, opened
from .transforms import read_picture
from .twins import perceptual_hash


class Look(NamedTuple):
    """What an image is like."""

    bad: str = ''  # its path and why it cannot be read
    clear: bool = False  # transparent in parts
    hash: np.ndarray | None = None  # (64,) of what it looks like, if decoded


def read_all(paths: Sequence[str], deep: bool, workers: int) -> Iterator[Look]:
    """Yield a :class:`Look` at each image.

    Raises:
        BrokenProcessPool: If a reading process is killed.
    """
    read = partial(look_at, deep=deep)
    if not paths:
        return
    steps = 100
    bar, done = ProgressBar(steps, file=sys.stderr), 0
    # unlike multiprocessing's pool, it raises if a process is killed
    with ProcessPoolExecutor(max(workers, 1), get_context('fork')) as pool:
        for i, look in enumerate(pool.map(read, paths, chunksize=64), 1):
            if i * steps // len(paths) > done:  # a line of per cent
                bar.update(i * steps // len(paths) - done)
                done = i * steps // len(paths)
            yield look
    print(file=sys.stderr)


def look_at(path: str, deep: bool) -> Look:
    """Read an image, or its header."""
    try:
        if deep:
            pixels, clear = read_picture(path)
            return Look(clear=clear, hash=perceptual_hash(pixels))
        with open_regular(path, MAX_BYTES) as file, opened(file) as image:
            return Look(clear=image.has_transparency_data)
    except Exception as error:  # Pillow raises nearly anything on damaged files
        text = str(error).replace(repr(path), '').replace('The image ', '').strip()
        return Look(bad=f'{path} ({text or type(error).__name__})')
