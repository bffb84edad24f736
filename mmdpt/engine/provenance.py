"""Which code made a result."""

import os
import subprocess
from datetime import datetime, timezone
from pathlib import Path

import mmengine
import mmpretrain
import torch

from ..utils.files import sha256_of
from ..version import __version__

PACKAGE = Path(__file__).resolve().parents[1]


def versions():
    """dict[str, str]: Versions of this package and of those that decide its figures."""
    return dict(
        mmdpt=__version__,
        torch=torch.__version__,
        mmengine=mmengine.__version__,
        mmpretrain=mmpretrain.__version__,
    )


def package_commit(package=PACKAGE):
    """The commit of the checkout that the package is imported from.

    Args:
        package (Path): The package's folder.

    Returns:
        dict | None: ``commit`` (40 hex digits) and ``dirty`` (whether tracked
        files of the checkout differ from it); None if the package is
        installed otherwise, even inside somebody else's checkout, or if there
        is no git.
    """
    try:
        _git(package, 'ls-files', '--error-unmatch', '__init__.py')
        commit = _git(package, 'rev-parse', 'HEAD')
        changes = _git(package, 'status', '--porcelain', '--untracked-files=no')
    except (OSError, subprocess.SubprocessError):
        return None
    return dict(commit=commit, dirty=bool(changes))


def about_file(path):
    """dict: ``path``, ``bytes`` and ``sha256`` of a file."""
    return dict(path=path, bytes=os.path.getsize(path), sha256=sha256_of(path).hexdigest())


def now():
    """str: The time in UTC, as in 2026-01-31T12:00:00+00:00."""
    return datetime.now(timezone.utc).isoformat(timespec='seconds')


def _git(folder, *arguments):
    command = ['git', '--no-optional-locks', '-C', str(folder), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.strip()
