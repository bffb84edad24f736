"""Find the runs below some folders, finished or not."""

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path

from .read import damaged_row, protocol_rows, result_rows, unfinished_row
from .row import Row

STAMP = re.compile(r'\d{8}_\d{6}')  # MMEngine's folder for one start of a runner
CHECKPOINT = re.compile(r'last_checkpoint|(epoch|iter)_\d+\.pth')


def find_runs(paths: Sequence[str]) -> list[Row]:
    """Read all runs below the given folders.

    Args:
        paths (Sequence[str]): Work directories, folders of them, or
            ``results.json`` and ``protocol_*.json`` files.

    Returns:
        list[Row]: In the order of the paths. A folder with a started
        training but no ``results.json`` gives a row that says so, and so
        does a file that cannot be read.

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
                rows += _rows(found)
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
    texts = [log.read_text(errors='replace') for log in logs if log.is_file()]
    return any('Epoch(train)' in text or 'Epoch(test)' not in text for text in texts)


def _rows(found: Path) -> list[Row]:
    if found.is_dir():
        return [unfinished_row(found)]
    results = None
    try:
        results = json.loads(found.read_text(encoding='utf-8'))
        rows = protocol_rows if 'protocol' in results else result_rows
        return rows(results, found)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return [damaged_row(found, f'{type(error).__name__}: {error}', results)]
