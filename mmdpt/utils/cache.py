"""The cache of frozen work: what frozen models gave, in files that say what they hold.

It is one folder without subfolders. ``KEY.safetensors`` holds one tensor and, in its header, an
:class:`About`. What is told here of files comes from their headers, without torch.
"""

import json
import os
import os.path as osp
import re
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field, ValidationError

from .values import Closed, first_fault

VARIABLE, FOLDER = 'MMDPT_CACHE', osp.join('work_dirs', 'cache')
KINDS = ('features', 'pooled', 'logits')
ENDING, META = '.safetensors', 'mmdpt'
NAME = re.compile(rf'[0-9a-f]{{32}}\{ENDING}')
ROOM = 2**16  # bytes of a file beside the tensor
Text = Annotated[str, Field(max_length=10_000)]
Count = Annotated[int, Field(ge=0, le=2**53)]


class About(Closed):
    """What a file says of itself.

    Attributes:
        format: Of this description.
        key: Hash of all that the tensor depends on; the file's name.
        kind: Image ``features``, ``pooled`` ones before the last projection, or a teacher's
            ``logits``.
        model, fingerprint: CLIP's architecture, and a hash of its weights.
        data: The list of images, in words.
        transforms: Of the images, as they print.
        view: The epoch whose random transforms these are; None: there are none.
        images: Rows of the tensor.
        checksum: Of key and tensor.
    """

    format: Literal[1] = 1
    key: Annotated[str, Field(pattern=r'^[0-9a-f]{32}$')]
    kind: Literal[KINDS]  # type: ignore[valid-type]
    model: Text
    fingerprint: Text
    data: Text
    transforms: Text
    view: Count | None
    images: Count
    checksum: Annotated[str, Field(pattern=r'^[0-9a-f]{64}$')]


class Entry(NamedTuple):
    """A file of the cache.

    Attributes:
        path: The file.
        about: Its header.
        size: Its bytes.
        used: When it was written or last read, in seconds since 1970.
    """

    path: str
    about: About
    size: int
    used: float


def cache_folder(place: str | bool | None) -> str | None:
    """Where a config's ``cache_dir`` is.

    Args:
        place (str | bool, optional): A folder; True: the one of ``MMDPT_CACHE``, by default
            ``work_dirs/cache``; None or False: nothing is kept.
    """
    if place is True:
        return os.environ.get(VARIABLE) or FOLDER
    return place or None


def read_about(path: str) -> About:
    """The header of a file.

    Raises:
        OSError: If it cannot be opened, or is a link.
        ValueError: If this program did not write it so: says why.
    """
    with _opened(path) as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise ValueError('it is no file')
        length = int.from_bytes(file.read(8), 'little')
        if length > ROOM:
            raise ValueError(f'its header has {length} bytes')
        about, size = _parsed(file.read(length))
    if found.st_size != 8 + length + size:
        raise ValueError(f'it has {found.st_size} bytes, its header says {8 + length + size}')
    return about


def _parsed(header: bytes) -> tuple[About, int]:
    """What a header says of the file, and how many bytes follow it."""
    try:
        parts: dict[str, Any] = json.loads(header)
        about = About.model_validate_json(parts.pop('__metadata__')[META])
        (tensor,) = parts.values()
        size = tensor['data_offsets'][1]
    except ValidationError as error:
        raise ValueError(f'its header is none of mmdpt ({first_fault(error)})') from None
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        raise ValueError('its header is none of mmdpt') from None
    if type(size) is not int:
        raise ValueError('its header gives no size')
    return about, size


@contextmanager
def _opened(path: str) -> Iterator[Any]:
    """A file for reading, which does not count as its use; no link, and no pipe to wait for."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        handle = os.open(path, flags | getattr(os, 'O_NOATIME', 0))
    except PermissionError:  # somebody else's: whether it counts is the disk's business
        handle = os.open(path, flags)
    with open(handle, 'rb') as file:
        yield file


def note_use(path: str) -> None:
    """Say that a file was read now. The time of its last change stays."""
    with suppress(OSError):  # of a cache that others share for reading
        changed = os.stat(path).st_mtime_ns
        os.utime(path, ns=(time.time_ns(), changed))


def entries(folder: str) -> tuple[list[Entry], list[str]]:
    """The files of a cache.

    Args:
        folder (str): Is not walked further down; no link in it is followed.

    Returns:
        tuple[list[Entry], list[str]]: Those that this program wrote, the last used ones first,
        and the names of whatever else is there: others' files, damaged or half-written ones.
    """
    found, others = [], []
    for item in os.scandir(folder):
        try:
            if not NAME.fullmatch(item.name) or not item.is_file(follow_symlinks=False):
                raise ValueError('it has another name')
            about = read_about(item.path)
            if about.key + ENDING != item.name:
                raise ValueError('it is the copy of another')
            said = item.stat(follow_symlinks=False)
            found.append(Entry(item.path, about, said.st_size, said.st_atime))
        except (OSError, ValueError):
            others.append(item.name)
    return sorted(found, key=lambda one: -one.used), sorted(others)


def megabytes(size: int) -> str:
    """A number of bytes, in words."""
    return f'{size / 1e6:.2f} MB' if size < 1e7 else f'{size / 1e6:,.0f} MB'
