"""What the files of the training images were: overwritten ones are noticed."""

import hashlib
import os
import stat
from collections.abc import Iterator
from typing import Any
from weakref import WeakKeyDictionary

from mmengine.runner import Runner

from mmdpt.utils.files import sha256_of

from .hooks import inner_datasets

READ_ALL = 64 * 2**20  # bytes; so many are read in no time, at the latest with the first epoch
LOOK_AT = 20_000  # files; of more, so many in equal steps

_known: WeakKeyDictionary = WeakKeyDictionary()  # runner -> hashes of its training images


def training_images(runner: Runner) -> dict[str, str | None]:
    """Return the hashes of a runner's training images, as they were when first asked for."""
    if runner not in _known:
        _known[runner] = image_digests(runner.train_dataloader.dataset)
    return _known[runner]


def image_digests(dataset: Any, contents: bool = True) -> dict[str, str | None]:
    """Return hashes of a dataset's images, in order; empty if it tells nothing of them.

    Args:
        dataset (Dataset): Perhaps with wrappers around it.
        contents (bool): Whether to read the files.

    Returns:
        dict[str, str | None]: ``images.sizes``, with names and labels;
        ``images.times`` of the files' last change, which a copy may have lost;
        ``images.contents``, None if reading all would take a while.
    """
    sizes, times, content = hashlib.sha256(), hashlib.sha256(), hashlib.sha256()
    files, total, seen = [], 0, False
    for path, label, image in _images(dataset):
        seen = True
        size, time = _look(path)
        if size < 0 and image is not None:  # only in memory
            size = image.nbytes
            content.update(image.tobytes())
        else:
            times.update(f'{time}\n'.encode())
            files.append(path)
            total += max(size, 0)
        sizes.update(f'{os.path.basename(path)} {label} {size}\n'.encode(errors='surrogateescape'))
    if not seen:
        return {}
    contents = contents and total <= READ_ALL
    if contents:
        for path in files:
            content.update(_content(path))
    return {
        'images.sizes': sizes.hexdigest(),
        'images.times': times.hexdigest(),
        'images.contents': content.hexdigest() if contents else None,
    }


def _images(dataset: Any) -> Iterator[tuple[str, Any, Any]]:
    """Yield path, label, and what lies in memory, of each image."""
    for inner in inner_datasets(dataset):
        wraps = len(list(inner_datasets(inner))) > 1
        if wraps or not hasattr(inner, 'get_data_info'):
            continue
        kept = getattr(inner, 'images', None)
        for i in range(0, len(inner), -(-len(inner) // LOOK_AT)):
            info = inner.get_data_info(i)
            path = str(info.get('img_path', ''))
            image = kept.get(path) if isinstance(kept, dict) else None
            image = info.get('img') if image is None else image
            yield path, info.get('gt_label'), image if hasattr(image, 'tobytes') else None


def _look(path: str) -> tuple[int, int]:
    """Size and time of a file; -1 of what is no file here (a bucket's, or missing)."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return -1, -1
    return (found.st_size, found.st_mtime_ns) if stat.S_ISREG(found.st_mode) else (-1, -1)


def _content(path: str) -> bytes:
    """SHA-256 of a file, or nothing."""
    if _look(path)[0] < 0:
        return b'-'
    return sha256_of(path).digest()
