"""What has become of a run, read from its folder alone.

A lock, not submitit's job state, says whether a run is alive: submitit's local executor knows
only the jobs of the driver that started them, and SLURM forgets a job after a while. A driver
that follows a killed one must still see a training that goes on, and a lock ends with the
process that holds it.
"""

import fcntl
import os
import os.path as osp
from contextlib import suppress
from typing import NamedTuple

from .job import LOCK, STATE, STOP, read_json, read_results, write_json

IDENTITY = 'sweep_run.json'
# finished: its results are complete; failed: ended with an error; interrupted:
# begun, and it can go on; running: a process holds its lock; changed: the
# folder belongs to another config of this name; new: nothing there yet
STATES = ('finished', 'failed', 'interrupted', 'running', 'changed', 'new')


class Status(NamedTuple):
    """State of a run (one of ``STATES``), and what is known about it."""

    state: str
    error: str | None = None
    results: dict | None = None
    seconds: float | None = None


def status(run, work_dir):
    """Status: That of a run.

    Raises:
        ValueError: If its folder was not made by a sweep.
    """
    folder = osp.join(work_dir, run.name)
    if not osp.isdir(folder) or all(f.endswith('.tmp') for f in os.listdir(folder)):
        return Status('new')
    identity = read_json(osp.join(folder, IDENTITY))
    if identity is None:
        raise ValueError(
            f'{folder} holds files, but no {IDENTITY}: no sweep made it. Move it '
            'away, or choose another --work-dir'
        )
    if identity['hash'] != run.hash:
        return Status(
            'changed', f'made with another config (hash {identity["hash"][:8]}, now {run.hash[:8]})'
        )
    before = read_json(osp.join(folder, STATE)) or {}
    results, seconds = read_results(folder), before.get('seconds')
    if results is not None:
        return Status('finished', None, results, seconds)
    if holder(folder) is not None:
        return Status('running')
    return Status(
        'failed' if before.get('state') == 'failed' else 'interrupted',
        before.get('error'),
        None,
        seconds,
    )


def holder(folder):
    """int | None: The process that trains in a folder; 0 if it is about to."""
    try:
        with open(osp.join(folder, LOCK), 'r+') as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return int(file.read() or 0)
    except FileNotFoundError:
        return None
    return None


def claim(run, work_dir):
    """Mark a folder as this run's.

    A folder of the same name with another config is moved aside, never
    overwritten.

    Returns:
        str | None: Where the other one is now.

    Raises:
        ValueError: If the other one still trains.
    """
    folder, moved = osp.join(work_dir, run.name), None
    identity = read_json(osp.join(folder, IDENTITY))
    if identity is not None and identity['hash'] != run.hash:
        if holder(folder) is not None:
            raise ValueError(
                f'{folder} belongs to another config of this name, which still trains there: '
                'wait for it, or choose another --work-dir'
            )
        moved = f'{folder}.{identity["hash"][:8]}'
        while osp.exists(moved):
            moved += '_'
        os.rename(folder, moved)
    os.makedirs(folder, exist_ok=True)
    with suppress(FileNotFoundError):
        os.remove(osp.join(folder, STOP))
    write_json(
        dict(name=run.name, hash=run.hash, config=run.source, tool=run.tool),
        osp.join(folder, IDENTITY),
    )
    return moved


def forget_failure(run, work_dir):
    """Let a failed run be resumed."""
    path = osp.join(work_dir, run.name, STATE)
    before = read_json(path) or {}
    write_json(dict(before, state='interrupted'), path)


def accuracy(results):
    """float: Accuracy of a finished run, in per cent."""
    figures = results.get('few_shot') or results['zero_shot']
    return figures.get('accuracy/top1', next(iter(figures.values())))
