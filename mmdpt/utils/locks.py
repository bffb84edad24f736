"""Folders that one process at a time may write to."""

import fcntl
import os
import os.path as osp
import time
from weakref import WeakSet, WeakValueDictionary

_held: WeakValueDictionary = WeakValueDictionary()  # path -> FolderLock of a training
_all: WeakSet = WeakSet()


class FolderLock:
    """The kernel's lock on a file; it ends with the process, however that dies.

    The file stays: removing it would let two processes lock two files of one
    name. It names the holder, for the message to the next one.

    Args:
        path (str): The file.
        refusal (str): What to say if another process holds it; ``{holder}``
            stands for that process.

    Raises:
        ValueError: If another process holds it.
        OSError: If the file system has no locks.
    """

    def __init__(self, path: str, refusal: str):
        self.fd: int | None = None
        self.fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(self.fd, 200).decode(errors='replace').strip()
            raise ValueError(refusal.replace('{holder}', holder or 'a process')) from None
        except OSError as error:
            raise OSError(
                error.errno,
                f'cannot lock {path} ({error.strerror}): choose a folder on a file system '
                'that has locks (--work-dir)',
            ) from error
        _all.add(self)
        os.ftruncate(self.fd, 0)
        since = time.strftime('%Y-%m-%d %H:%M:%S')
        note = f'process {os.getpid()} on {os.uname().nodename} since {since}'
        os.write(self.fd, note.encode())

    def close(self) -> None:
        """Release the lock."""
        if self.fd is not None:
            os.close(self.fd)
        self.fd = None

    def __del__(self) -> None:
        self.close()

    def __enter__(self) -> 'FolderLock':
        return self

    def __exit__(self, *error) -> None:
        self.close()


def lock_work_dir(folder: str) -> FolderLock:
    """Lock a folder of a training until the lock is closed or forgotten.

    The process that holds it gets the same lock again: the command line takes
    it before there is a Runner, the Runner's hook for whoever builds one.

    Args:
        folder (str): Made if it is not there.
    """
    os.makedirs(folder, exist_ok=True)
    path = osp.join(osp.realpath(folder), '.train.lock')
    lock = _held.get(path)
    if lock is None or lock.fd is None:
        lock = _held[path] = FolderLock(
            path,
            f'another training is at work in {folder} ({{holder}}): wait for it, or give another '
            '--work-dir',
        )
    return lock


def _leave_to_parent() -> None:
    """In a forked process, such as one that loads images: it may outlive its parent."""
    for lock in list(_all):
        lock.close()


os.register_at_fork(after_in_child=_leave_to_parent)
