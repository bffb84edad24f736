"""Where configs and tools are, and how a command is typed, in a checkout and from a wheel."""

import difflib
import os
import re
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
TOOL = re.compile(r'(?:python )?\btools/(\w+)\.py')


def in_checkout(package: Path = PACKAGE) -> bool:
    """Whether the package is imported from a checkout."""
    root = package.parent
    return (root / 'setup.py').is_file() and (root / 'configs' / '_base_').is_dir()


def root() -> Path:
    """The folder that holds ``configs/`` and ``tools/``."""
    return PACKAGE.parent if in_checkout() else PACKAGE / '.mim'


def spoken(text: str, package: Path = PACKAGE) -> str:
    """A text that names ``tools/NAME.py``: with ``mmdpt NAME`` where there is no checkout."""
    return text if in_checkout(package) else TOOL.sub(r'mmdpt \1', text)


@lru_cache(maxsize=1)
def shipped_configs() -> dict[str, Path]:
    """The configs that come with the package, except those of _base_, by name."""
    return {
        path.stem: path
        for path in sorted((root() / 'configs').rglob('*.py'))
        if '_base_' not in path.parts
    }


def find_config(given: str | Path, also: Iterable[str] = ()) -> str:
    """A config file: the one given, or the one of that name that comes with the package.

    Args:
        given (str | Path): A file; or such as ``dpt_tiny_digits_16shot``,
            ``dpt/dpt_tiny_digits_16shot.py``, ``configs/dpt/dpt_tiny_digits_16shot.py``.
        also (Iterable[str]): Further names that may have been meant.

    Raises:
        FileNotFoundError: Names the nearest ones.
        IsADirectoryError: Says how to train on the photos of a folder.
    """
    given = os.fspath(given)
    if os.path.isfile(given):
        return given
    name = given.removesuffix('.py')
    if os.sep not in name and name in shipped_configs():
        return str(shipped_configs()[name])
    path = root() / 'configs' / f'{name.removeprefix("./").removeprefix("configs/")}.py'
    if os.sep in name and path.is_file():
        return str(path)
    if os.path.isdir(given):
        raise IsADirectoryError(
            f'{given} is a folder, and here stands the name of a config. For the photos in it: '
            f'mmdpt fit {given}, or mmdpt train dpt_vitb16_custom --cfg-options '
            f'dataset.data_root={given}'
        )
    near = difflib.get_close_matches(os.path.basename(name), {*shipped_configs(), *also}, 3)
    hint = (
        f'did you mean {", ".join(near)}?'
        if near
        else f'those of this project are in {_shown(root() / "configs")}'
    )
    raise FileNotFoundError(f'no config file {given}, nor a config of that name: {hint}')


def _shown(path: Path) -> str:
    relative = os.path.relpath(path)
    return str(path) if relative.startswith('..') else f'{relative}/'
