"""Image files: finding them, and loading them so that a bad one stops nothing."""

import os
import os.path as osp
import warnings
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
from mmengine.dataset import default_collate
from PIL import Image
from torch.utils.data import Dataset

from mmdpt.datasets.index import SUFFIXES
from mmdpt.datasets.pictures import as_rgb
from mmdpt.datasets.transforms import read_image

# of photos that are not read, so that they are not left out in silence
UNREAD = {
    f'.{end}'
    for end in 'heic heif hif avif jxl jp2 j2k jfif tga psd dng cr2 cr3 nef arw raf orf rw2'.split()
}


def find_images(paths: str | Sequence[str]) -> list[str]:
    """Image files, from files and folders.

    A file is taken regardless of its name; a folder gives all files below it whose
    name ends like an image's, sorted, without hidden ones.

    Args:
        paths (str | Sequence[str]): Files and folders.

    Returns:
        list[str]: Paths, in the order given.

    Raises:
        FileNotFoundError: If one does not exist.
        ValueError: If a folder has no image.
    """
    found = []
    for path in [paths] if isinstance(paths, (str, os.PathLike)) else paths:
        path = osp.expanduser(os.fspath(path))
        if osp.isdir(path):
            found += _in_folder(path)
        elif osp.isfile(path):
            found.append(path)
        else:
            raise FileNotFoundError(f'no image file or folder {path}')
    return found


def _in_folder(folder: str) -> list[str]:
    found: list[str] = []
    others: Counter = Counter()
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith('.'))
        for name in sorted(names):
            if name.lower().endswith(SUFFIXES) and not name.startswith('.'):
                found.append(osp.join(place, name))
            else:
                others[osp.splitext(name)[1] or name] += 1
    if not found:
        there = ', '.join(f'{n} {kind}' for kind, n in others.most_common(3)) or 'nothing'
        raise ValueError(
            f'no image in the folder {folder} (there is {there}): names of images '
            f'end in {", ".join(SUFFIXES)}'
        )
    unread = {kind: n for kind, n in others.items() if kind.lower() in UNREAD}
    if unread:
        kinds = ', '.join(f'{n} {kind}' for kind, n in unread.items())
        warnings.warn(
            f'{sum(unread.values())} photos in {folder} are not read ({kinds}): convert them to '
            'JPEG or PNG',
            stacklevel=3,
        )
    return found


def load_image(image, upright: bool, background: tuple[int, int, int]) -> dict:
    """Read an image.

    Args:
        image (str | Path | PIL.Image.Image | np.ndarray): A file, an
            image, or (H, W, 3) uint8 in BGR order.
        upright (bool): Turn it as EXIF says.
        background (tuple[int]): What transparent pictures are put on.

    Returns:
        dict: ``img`` (H, W, 3) uint8 in BGR order, and its shape.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it does not decode, or is too large.
        TypeError: If it is not an image.
    """
    if isinstance(image, (str, os.PathLike)):
        image = read_image(os.fspath(image), upright=upright, background=background)
    elif isinstance(image, Image.Image):
        image = np.asarray(as_rgb(image, upright, background))
        image = image[..., ::-1].copy()
    if (
        not isinstance(image, np.ndarray)
        or image.ndim != 3
        or image.shape[2] != 3
        or image.dtype != np.uint8
    ):
        raise TypeError(
            'an image must be a file name, a PIL image or an array (H, W, 3) of '
            f'uint8, BGR, but is {getattr(image, "shape", type(image))}'
        )
    return dict(img=image, img_shape=image.shape[:2], ori_shape=image.shape[:2])


class Photos(Dataset):
    """Files and what the transforms make of them.

    Args:
        paths (Sequence[str]): Image files.
        transform (Callable): From a path to a dict, see
            :class:`mmpretrain.datasets.PackInputs`.
    """

    def __init__(self, paths: Sequence[str], transform: Callable):
        self.paths, self.transform = paths, transform

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int):
        """tuple: Path, data or None, and why there are none or ''."""
        path = self.paths[index]
        try:
            return path, self.transform(path), ''
        except (ValueError, OSError) as error:
            return path, None, str(error)


def collate(items: list):
    """tuple: ``[(path, why it is unreadable or '')]`` and the batch of the
    others, None if there are none."""
    good = [data for _, data, _ in items if data is not None]
    return [(path, why) for path, _, why in items], default_collate(good) if good else None
