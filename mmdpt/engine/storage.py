"""Files that are either complete or not there."""
import os
import os.path as osp
from contextlib import suppress

from mmengine.fileio import LocalBackend, register_backend


def write_atomically(data, path):
    """Writes bytes so that ``path`` never holds a part of them.

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
    folder, name = osp.split(osp.abspath(path))
    temporary = osp.join(folder, f'.{name}.{os.getpid()}.tmp')
    try:
        os.makedirs(folder, exist_ok=True)
        with open(temporary, 'wb') as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        _flush_folder(folder)
    except OSError as error:
        with suppress(OSError):
            os.remove(temporary)
        raise type(error)(
            error.errno,
            f'cannot write {path} ({error.strerror}). A former file of that name is unchanged; '
            'free some space or choose another folder (--work-dir)') from error
    except BaseException:
        with suppress(OSError):
            os.remove(temporary)
        raise


def remove_leftovers(folder):
    """Removes the temporary files of writers that were killed."""
    for name in os.listdir(folder):
        if name.startswith('.') and name.endswith('.tmp'):
            with suppress(FileNotFoundError):
                os.remove(osp.join(folder, name))


def _flush_folder(folder):
    """Makes the renaming itself survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@register_backend('mmdpt.atomic', force=True)
class AtomicBackend(LocalBackend):
    """MMEngine's local storage, with :func:`write_atomically`.

    Chosen by ``backend_args=dict(backend='mmdpt.atomic')``.
    """

    def put(self, obj, filepath):
        """Writes bytes; see :func:`write_atomically`."""
        write_atomically(obj, filepath)

    def put_text(self, obj, filepath, encoding='utf-8'):
        """Writes a string; see :func:`write_atomically`."""
        write_atomically(obj.encode(encoding), filepath)


@register_backend('mmdpt.memory', force=True)
class MemoryBackend(LocalBackend):
    """MMEngine's local storage, but what is written stays in memory.

    Args:
        files (dict): Gets the bytes by path.
    """

    def __init__(self, files, **kwargs):
        super().__init__(**kwargs)
        self.files = files

    def put(self, obj, filepath):
        """Keeps bytes."""
        self.files[filepath] = obj
