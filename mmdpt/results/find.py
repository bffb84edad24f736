"""Find the runs below some folders, finished or not."""

import os
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..utils.files import open_regular
from ..utils.seal import SEAL, check_seal, read_plain
from ..utils.text import visible
from .read import damaged_row, protocol_rows, result_rows, unfinished_row
from .row import Row
from .schema import check

STAMP = re.compile(r'\d{8}_\d{6}')  # MMEngine's folder for one start of a runner
LARGEST_LOG, READ_OF_LOG = 2**40, 2**24  # bytes
CHECKPOINT = re.compile(r'last_checkpoint|(epoch|iter)_\d+\.pth')


def find_runs(paths: Sequence[str], unsealed: bool = False) -> list[Row]:
    """Read all runs below the given folders.

    Args:
        paths (Sequence[str]): Work directories, folders of them, or
            ``results.json`` and ``protocol_*.json`` files.
        unsealed (bool): Whether to take results without a checksum, as
            mmdpt 0.1 wrote them.

    Returns:
        list[Row]: In the order of the paths. A folder with a started
        training but no ``results.json`` gives a row that says so, and so
        does a file that cannot be read, or that was changed.

    Raises:
        FileNotFoundError: If a path does not exist, or there is no run at all.
    """
    rows, seen = [], set()
    for path in map(Path, paths):
        if not path.exists():
            raise FileNotFoundError(
                f'{path} does not exist: give work directories of trainings, '
                'folders of them, or their results.json'
            )
        for found in [path] if path.is_file() else _walk(path):
            real = os.path.realpath(found)
            if real not in seen:
                seen.add(real)
                rows += _rows(found, unsealed)
    if not rows:
        raise FileNotFoundError(
            f'no run in {", ".join(map(str, paths))}: there is neither a results.json, which '
            'tools/train.py writes, nor a started training'
        )
    return rows


def _walk(folder: Path):
    """Result files, and folders of trainings without one."""
    for name, folders, files in os.walk(folder):
        starts = [name for name in folders if STAMP.fullmatch(name)]
        folders[:] = sorted(
            name for name in folders if name not in starts and not name.startswith('.')
        )
        place = Path(name)
        if 'results.json' in files:
            yield place / 'results.json'
        elif _trained(place, starts, files):
            yield place
        for name in sorted(files):
            if re.fullmatch(r'protocol_.+\.json', name):
                yield place / name


def _trained(place, starts, files):
    """Whether a training was started here; tests leave similar traces."""
    if any(CHECKPOINT.fullmatch(name) for name in files):
        return True
    logs = [place / start / f'{start}.log' for start in starts]
    texts = [_beginning(log) for log in logs if log.is_file()]
    return any('Epoch(train)' in text or 'Epoch(test)' not in text for text in texts)


def _beginning(log):
    """The text of a log, of a large one the first part; empty if it cannot be read."""
    try:
        with open_regular(str(log), LARGEST_LOG) as file:
            return file.read(READ_OF_LOG).decode(errors='replace')
    except (OSError, ValueError):
        return ''


def _rows(found: Path, unsealed: bool) -> list[Row]:
    if found.is_dir():
        return [_shown(unfinished_row(found))]
    results = None
    try:
        results = read_plain(str(found))
        if SEAL in results or not unsealed:
            check_seal(results)
        check(results)
        rows = protocol_rows if 'protocol' in results else result_rows
        return [_shown(row) for row in rows(results, found)]
    except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        return [_shown(damaged_row(found, f'{type(error).__name__}: {error}', results))]


def _shown(row: Row) -> Row:
    """The same without anything that would move the screen or a table's lines."""
    texts: dict[str, Any] = {
        name: visible(value)
        for name, value in vars(row).items()
        if isinstance(value, str) and name != 'source'
    }
    return replace(row, **texts)
