"""Lists of the images in class folders, kept in an index file."""

import hashlib
import json
import operator
import os
import os.path as osp
from collections.abc import Sequence

from mmengine.logging import print_log

from mmdpt.utils.files import read_regular, write_atomically

MAX_BYTES = 2**30
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
    if not osp.exists(path):
        return None
    try:
        checksum, _, body = read_regular(path, MAX_BYTES).partition(b'\n')
        if checksum != _checksum(body):
            raise ValueError('its checksum is another')
        content = json.loads(body)
        if not isinstance(content, dict) or content.keys() != {'key', 'names'}:
            raise ValueError('it has another form')
        if content['key'] != key:
            return None
        return _listing(key, content['names'])
    except (OSError, ValueError, RecursionError) as error:
        print_log(
            f'The index {path} is damaged or of another version ({error}) and is made again.',
            logger='current',
        )
        return None


def _listing(key: list, texts: list[str]) -> dict[str, list[str]]:
    """The names by folder, as :func:`image_names` would give them."""
    if not isinstance(texts, list) or len(texts) != len(key):
        raise ValueError('it has other folders')
    found = {}
    for (folder, _), text in zip(key, texts):
        if not isinstance(text, str) or '\0' in text:
            raise ValueError('it has another form')
        names = text.split('/') if text else []  # so that none leads elsewhere
        # counted in the whole text: one by one, a million names take seconds
        ends = f'{text.lower()}/'
        images = sum(ends.count(f'{suffix}/') for suffix in SUFFIXES) if text else 0
        ordered = all(map(operator.lt, names, names[1:]))
        if images != len(names) or not ordered or '/.' in f'/{text}':
            raise ValueError('it has names that no listing gives')
        found[folder] = names
    return found


def _checksum(body: bytes) -> bytes:
    return hashlib.sha256(body).hexdigest().encode()


def _write_index(path: str, key: list, listing: dict[str, list[str]]) -> None:
    # one string a folder: 1.28 million JSON strings would take seconds; the sign
    # between them is the one that no file name can have
    names = ['/'.join(listing[name]) for name, _ in key]
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
