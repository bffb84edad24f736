"""Uploaded photos: in memory until newer ones come, on the disk no longer than an answer takes."""

import os
import os.path as osp
import tempfile
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager, suppress

MANY = 1000  # files


class Photos:
    """What visitors uploaded last.

    Args:
        folder (str): Where the server puts uploads.
        megabytes (float): The most that is kept; the oldest make room.
    """

    def __init__(self, folder: str, megabytes: float):
        self.folder, self.most = osp.realpath(folder), megabytes * 2**20
        self.kept: OrderedDict[str, bytes] = OrderedDict()
        self.given: set[str] = set()  # examples, which hold nothing private
        self.lock = threading.Lock()

    def take(self, path: str) -> None:
        """Move an upload from the disk into memory, unless it is there already.

        Raises:
            ValueError: If it is neither here nor there, or is no upload.
        """
        place = osp.realpath(path)
        with self.lock:
            if place.startswith(osp.join(self.folder, '')) and osp.isfile(place):
                with open(place, 'rb') as file:
                    self.kept[path] = file.read()
                if path not in self.given:
                    remove(place, self.folder)
            if path not in self.kept:
                raise ValueError('The photo is not here any more: drop it again.')
            self.kept.move_to_end(path)
            while len(self.kept) > 1 and sum(map(len, self.kept.values())) > self.most:
                self.kept.popitem(last=False)

    def give(self, picture: bytes) -> str:
        """Write a picture of the page's own where uploads are; it stays there for the browser.

        Args:
            picture (bytes): A PNG file.
        """
        with self.lock:
            path = osp.join(tempfile.mkdtemp(dir=self.folder), 'example.png')
            with open(path, 'wb') as file:
                file.write(picture)
            self.given.add(path)
        return path

    @contextmanager
    def lend(self, path: str | None) -> Iterator[str | None]:
        """A file with a photo's content, for the time of an answer.

        Raises:
            ValueError: If the photo has had to make room.
        """
        if path is None:
            yield None
            return
        with self.lock:
            content = self.kept.get(path)
        if content is None:
            raise ValueError('The photo is not here any more: drop it again.')
        with tempfile.NamedTemporaryFile(dir=self.folder) as file:
            file.write(content)
            file.flush()
            yield file.name


def remove(path: str, folder: str) -> None:
    """Remove a file, and the folder that held it alone."""
    with suppress(OSError):
        os.remove(path)
        if osp.dirname(path) != folder:
            os.rmdir(osp.dirname(path))


def make_room(folder: str, most: float, since: float = 0.0) -> int:
    """Remove the oldest files until the others are few and small enough.

    Args:
        folder (str): The uploads'.
        most (float): Bytes that may stay.
        since (float): Files of before that time do not count, and stay.

    Returns:
        int: Bytes that stayed.
    """
    found = []
    for place, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):  # removed meanwhile
                state = os.lstat(osp.join(place, name))
                if state.st_mtime >= since:
                    found.append((state.st_mtime, state.st_size, osp.join(place, name)))
    found.sort()
    total, count = sum(size for _, size, _ in found), len(found)
    for _, size, path in found:
        if total <= most and count <= MANY:
            break
        remove(path, osp.realpath(folder))
        total, count = total - size, count - 1
    return total


def started() -> float:
    """Now, as files' times have it, whose clock may be coarser."""
    return time.time() - 1
