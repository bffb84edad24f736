"""MMEngine's storage, with files that are either complete or not there."""

from mmengine.fileio import LocalBackend, register_backend

from mmdpt.utils.files import write_atomically


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
