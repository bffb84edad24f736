"""Lists of the images in class folders, kept in an index file."""

import json
import os
import os.path as osp
import zlib
from collections.abc import Sequence

from mmengine.logging import print_log

from mmdpt.utils.files import write_atomically

SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.webp', '.gif', '.tif', '.tiff', '.ppm', '.pgm')


def class_folders(folder: str) -> list[str]:
    """Names of the folders in a folder, sorted, without hidden ones."""
    with os.scandir(folder) as entries:
        return sorted(e.name for e in entries if e.is_dir() and not e.name.startswith('.'))


def image_names(folder: str) -> list[str]:
    """Names of the image files in a folder, sorted, without hidden ones."""
    return sorted(
        name
        for name in os.listdir(folder)
        if name.lower().endswith(SUFFIXES) and not name.startswith('.')
    )


def list_images(
    folder: str, classes: Sequence[str], index_file: str | None = None
) -> dict[str, list[str]]:
    """The images of each class folder, from the index file if it is fresh.

    The index holds the time of each folder's last change: a file that is
    added, removed or renamed changes its folder's. It is written in one step
    and carries a checksum; a damaged or old one is made again.

    Args:
        folder (str): The folder of the class folders.
        classes (Sequence[str]): Their names.
        index_file (str, optional): The index; None lists the folders.

    Returns:
        dict[str, list[str]]: File names by class folder, sorted.
    """
    if index_file is None:
        return {name: image_names(osp.join(folder, name)) for name in classes}
    key = [[name, os.stat(osp.join(folder, name)).st_mtime_ns] for name in classes]
    for path in (index_file, _fallback(index_file)):
        found = _read_index(path, key)
        if found is not None:
            return found
    print_log(
        f'Listing the images of {folder} once; the list is kept for later runs.', logger='current'
    )
    found = list_images(folder, classes)
    _write_index(index_file, key, found)
    return found


def _fallback(index_file: str) -> str:
    """Where the index goes if the data are read-only."""
    home = os.environ.get('XDG_CACHE_HOME', osp.expanduser('~/.cache'))
    name = osp.abspath(index_file).strip('/').replace('/', '%')
    return osp.join(home, 'mmdpt', name)


def _read_index(path: str, key: list):
    """The listing, or None if there is no intact one of this key."""
    if not osp.isfile(path):
        return None
    with open(path, 'rb') as file:
        checksum, _, body = file.read().partition(b'\n')
    if checksum != _checksum(body):
        print_log(f'The index {path} is damaged and is made again.', logger='current')
        return None
    content = json.loads(body)
    if content['key'] != key:
        return None
    return {
        name: names.split('\n') if names else [] for (name, _), names in zip(key, content['names'])
    }


def _checksum(body: bytes) -> bytes:
    return b'%08x' % zlib.crc32(body)


def _write_index(path: str, key: list, listing: dict[str, list[str]]) -> None:
    # one string per folder: 1.28 million JSON strings would take seconds
    names = ['\n'.join(listing[name]) for name, _ in key]
    body = json.dumps(dict(key=key, names=names)).encode()
    for place in (path, _fallback(path)):
        try:
            write_atomically(_checksum(body) + b'\n' + body, place)
            return
        except OSError as error:
            reason = error
    print_log(
        f'The list of images could not be kept ({reason}); it is made in every run.',
        logger='current',
    )
