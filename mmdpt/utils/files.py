"""Files that are either complete or not there."""

import hashlib
import json
import os
import os.path as osp
import secrets
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BufferedReader
from typing import Any

KINDS = {
    stat.S_IFIFO: 'a named pipe',
    stat.S_IFCHR: 'a device',
    stat.S_IFBLK: 'a device',
    stat.S_IFSOCK: 'a socket',
    stat.S_IFDIR: 'a folder',
}


def open_regular(path: str, most: int) -> BufferedReader:
    """Open a file for reading, if it is a regular one and not too large.

    Whatever else bears a file's name may block for ever, never end, or do
    something when it is opened.

    Args:
        path (str): The file, or a link to it.
        most (int): The most bytes it may have.

    Raises:
        OSError: If there is no such file, or it cannot be opened.
        ValueError: If it is a folder, a pipe, a device or a socket, or too
            large. The message does not tell the path.
    """
    _check_regular(os.stat(path), most)
    # it may have been replaced meanwhile; a pipe must not block even then
    file = open(path, 'rb', opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK))
    try:
        _check_regular(os.fstat(file.fileno()), most)
    except ValueError:
        file.close()
        raise
    return file


def read_regular(path: str, most: int) -> bytes:
    """The bytes of a file; see :func:`open_regular`."""
    with open_regular(path, most) as file:
        return file.read(os.fstat(file.fileno()).st_size)


def _check_regular(found: os.stat_result, most: int) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise ValueError(f'is {KINDS.get(stat.S_IFMT(found.st_mode), "something else")}, no file')
    if found.st_size > most:
        raise ValueError(f'has {found.st_size >> 20} MiB, {most >> 20} are the most')


def sha256_of(path: str, most: int = sys.maxsize) -> 'hashlib._Hash':
    """The SHA-256 of a file's bytes; see :func:`open_regular`."""
    with open_regular(path, most) as file:
        digest = hashlib.sha256()
        while block := file.read(2**20):
            digest.update(block)
        return digest


def write_atomically(data: bytes, path: str) -> None:
    """Write bytes so that ``path`` never holds a part of them.

    The bytes go to a temporary file in the same folder, are flushed to the
    disk, and take the place of ``path`` in one step. Whatever happens, the
    former file stays until then.

    Args:
        data (bytes): What to write.
        path (str): Where to.

    Raises:
        OSError: If the file cannot be written (disk full, no permission); the
            temporary file is removed, and the error names ``path``.
    """
    if is_stream(path):
        with open(path, 'wb') as stream:
            stream.write(data)
        return
    try:
        os.makedirs(osp.dirname(osp.realpath(path)), exist_ok=True)
        with _in_place_of(path, '.{name}.{mark}.tmp') as temporary:
            with open(temporary, 'wb') as file:
                file.write(data)
    except OSError as error:
        raise type(error)(
            error.errno,
            f'cannot write {path} ({error.strerror}). A former file of that name is unchanged; '
            'free some space or choose another folder (--work-dir)',
        ) from error


@contextmanager
def replacing(path: str) -> Iterator[str]:
    """A temporary file for writers that need a name; it takes the place of ``path`` at the end.

    Args:
        path (str): Where to; a pipe or a device is written to itself.

    Yields:
        str: The name, in the same folder and with the same ending.

    Raises:
        OSError: If it cannot take the place; as after any other error, it is removed, and
            ``path`` unchanged.
    """
    if is_stream(path):
        yield path
        return
    with _in_place_of(path, '.{mark}.tmp.{name}') as temporary:
        yield temporary


def is_stream(path: str) -> bool:
    """Whether it is /dev/stdout, a pipe: nothing to put in its place."""
    return osp.exists(path) and not osp.isfile(path) and not osp.isdir(path)


@contextmanager
def _in_place_of(path: str, form: str) -> Iterator[str]:
    """A temporary name in a file's folder; what is written there is flushed and takes its place."""
    folder, name = osp.split(osp.realpath(path))  # a link stays a link
    # two containers that share a folder may have one process number
    mark = f'{os.getpid()}.{secrets.token_hex(4)}'
    temporary = osp.join(folder, form.format(name=name, mark=mark))
    try:
        yield temporary
        with open(temporary, 'rb') as file:
            os.fsync(file.fileno())
        os.replace(temporary, osp.join(folder, name))
        _flush_folder(folder)
    finally:
        with suppress(OSError):
            os.remove(temporary)


def write_text(text: str, path: str) -> None:
    """Write a text as UTF-8; see :func:`write_atomically`. What is none, as of a file's name,
    is spelt out, which in JSON reads back as it was."""
    write_atomically(text.encode('utf-8', 'backslashreplace'), path)


def write_json(value: Any, path: str, **layout: Any) -> None:
    """Write plain Python as JSON, with ``json.dumps``'s settings; see :func:`write_atomically`."""
    write_text(json.dumps(value, **layout), path)


def remove_leftovers(folder: str) -> None:
    """Remove the temporary files of writers that were killed."""
    for name in os.listdir(folder):
        if name.startswith('.') and name.endswith('.tmp'):
            with suppress(FileNotFoundError):
                os.remove(osp.join(folder, name))


def _flush_folder(folder: str) -> None:
    """Make the renaming itself survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
