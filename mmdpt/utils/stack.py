"""Which packages fill ``mmengine``, ``mmcv`` and ``mmpretrain``: OpenMMLab's or the fork's.

The maintained fork (``onedl-``) has the same import names. Whichever is installed is used.
"""

from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

OWNERS = {
    'mmengine': ('mmengine', 'onedl-mmengine'),
    'mmcv': ('mmcv', 'mmcv-lite', 'onedl-mmcv'),
    'mmpretrain': ('mmpretrain', 'onedl-mmpretrain'),
}  # import name: the packages that fill it
INSTALL = (
    "OpenMMLab's packages (pip install 'mmdpt[openmmlab]') or the maintained fork "
    "(pip install 'mmdpt[onedl]'); from a checkout: pip install -e '.[openmmlab]' or '.[onedl]'"
)

SAID = ('mmdpt needs ', 'Several packages fill one import name')  # by check_stack
LIBRARIES = (
    'OpenCV needs libraries of a desktop, on Debian: apt-get install libgl1 libxcb1 libglib2.0-0'
)


def check_stack() -> None:
    """Check that each of the three import names is there, and filled by one package.

    Raises:
        ModuleNotFoundError: If one is not installed; the message has the commands.
        ImportError: If two installed packages fill one name: the files of the later one
            lie among those of the other.
    """
    missing = [name for name in OWNERS if not _is_there(name)]
    if missing:
        raise ModuleNotFoundError(
            f'mmdpt needs {" and ".join(missing)}, not installed here. Install either {INSTALL}.',
            name=missing[0],
        )
    found = {name: installed(name) for name in OWNERS}
    shared = [f'{n} ({" and ".join(o)})' for n, o in found.items() if len(o) > 1]
    if shared:
        names = [owner.split()[0] for owners in found.values() for owner in owners]
        raise ImportError(
            f'Several packages fill one import name: {", ".join(shared)}. They overwrite each '
            f"other's files. Remove all (pip uninstall -y {' '.join(names)}), then install "
            f'either {INSTALL}.'
        )


def explain(error: ImportError) -> str | None:
    """What to tell a user of an import that failed; None: it is a bug, to be shown whole."""
    text = str(error)
    if text.startswith(SAID):
        return text
    if 'cannot open shared object file' in text:
        return f'{text}. {LIBRARIES}'
    return None


def installed(name: str) -> list[str]:
    """The installed packages that fill an import name, with versions."""
    found = []
    for owner in OWNERS[name]:
        try:
            found.append(f'{owner} {version(owner)}')
        except PackageNotFoundError:
            continue
    return found


def _is_there(name: str) -> bool:
    """Whether a name can be imported; a folder without code, as a clone's is, cannot."""
    spec = find_spec(name)
    return spec is not None and spec.origin is not None
