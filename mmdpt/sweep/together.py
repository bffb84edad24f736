"""Runs of a sweep that are trained together, as one batch in this process."""

import fcntl
import json
import os
import os.path as osp
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from functools import partial
from itertools import islice

from mmengine.config import Config

from ..engine.interrupts import Stopped
from ..engine.together import Plan, check_config_together, train_together
from ..models.stacked import check_stackable
from .check import check_model, quiet
from .job import LOCK, LOG, STATE, read_results, write_json
from .runs import Run
from .state import claim

SAME = ('dataset', 'data_preprocessor')  # besides the model without its head


def group_runs(runs: list[Run], most: int) -> list[list[Run]]:
    """Runs that share the model, but for its head, and the classes.

    Args:
        runs (list[Run]): In this order.
        most (int): Of a group.
    """
    kinds: dict[str, list[Run]] = {}
    for run in runs:
        model = {k: v for k, v in (run.content.get('model') or {}).items() if k != 'head'}
        key = json.dumps([model, *(run.content.get(name) for name in SAME)], sort_keys=True)
        kinds.setdefault(key, []).append(run)
    groups = []
    for kind in kinds.values():
        rest = iter(kind)
        while group := list(islice(rest, most)):
            groups.append(group)
    return groups


def choose_together(runs: list[Run], rest_alone: bool) -> list[Run]:
    """Which runs are trained together.

    Raises:
        ValueError: Names those that cannot be, unless they are to run alone.
    """
    refused, known = {}, {}
    for run in runs:
        kind = json.dumps([run.tool, run.content.get('model')], sort_keys=True)
        try:
            if run.tool != 'train':
                raise ValueError('it learns nothing')
            check_config_together(Config(run.content))
            if kind not in known:
                with quiet():
                    built = check_model(run, files=False)
                known[kind] = _reason(built, run.content['model']['pretrained'])
            if known[kind]:
                raise ValueError(known[kind])
        except ValueError as error:
            refused[run.name] = str(error)
    if refused and not rest_alone:
        reasons = '\n  '.join(f'{name}: {reason}' for name, reason in refused.items())
        raise ValueError(
            f'--together does not take {len(refused)} of {len(runs)} runs (--rest-alone runs them '
            f'one by one, --only chooses others):\n  {reasons}'
        )
    return [run for run in runs if run.name not in refused]


def _reason(model, pretrained: str | None) -> str | None:
    model.clip_identity['pretrained'] = pretrained  # it was built with random weights
    try:
        check_stackable(model)
    except ValueError as error:
        return str(error)
    return None


def run_groups(
    groups: list[list[Run]],
    work_dir: str,
    configure: Callable[[str, str], Config],
    ended: Callable[[Run, None], None],
) -> None:
    """Train group after group.

    Args:
        groups (list[list[Run]]): See :func:`group_runs`.
        work_dir (str): Folder of the sweep.
        configure (Callable): Gives a run's config, of its file and folder, to
            go on from the last checkpoint if there is one.
        ended (Callable): Called with each run that has ended.
    """
    for group in groups:
        print(f'together: {", ".join(run.name for run in group)}', flush=True)
        with ExitStack() as stack:
            members = [member(run, work_dir, configure, ended, len(group)) for run in group]
            plans = [stack.enter_context(one) for one in members]
            train_together([plan for plan in plans if plan is not None])


@contextmanager
def member(run: Run, work_dir: str, configure, ended, count: int) -> Iterator[Plan | None]:
    """A run's folder, locked, with its log; and the :class:`Plan` of its training, None if
    another process has finished it meanwhile."""
    moved = claim(run, work_dir)
    if moved:
        print(f'{run.name}: the results of another config of this name are now in {moved}')
    folder, started = osp.join(work_dir, run.name), time.time()
    screen, errors = sys.stdout, sys.stderr
    config = run.write_config(osp.join(work_dir, '.sweep', 'configs'))
    with open(osp.join(folder, LOCK), 'a+') as lock, open(osp.join(folder, LOG), 'a+') as log:
        fcntl.flock(lock, fcntl.LOCK_EX)  # waits for a training that goes on without its sweep
        if read_results(folder) is not None:
            fcntl.flock(lock, fcntl.LOCK_UN)
            ended(run, None)
            yield None
            return
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        log.seek(0)
        attempt = log.read().count('--- attempt ') + 1
        print(f'--- attempt {attempt}: {config}, together with {count - 1} others', file=log)

        def end(error: BaseException | None) -> None:
            if error is not None:
                if not isinstance(error, (Stopped, KeyboardInterrupt)):
                    traceback.print_exception(error, file=log)
                print(f'error: {error}', file=log)
            log.flush()
            state = dict(attempts=attempt, seconds=round(time.time() - started, 3), code=None)
            write_json({**state, **outcome(folder, error)}, osp.join(folder, STATE))
            fcntl.flock(lock, fcntl.LOCK_UN)  # loading processes may still hold the file
            with redirect_stdout(screen), redirect_stderr(errors):
                ended(run, None)

        yield Plan(run.name, partial(configure, config, folder), log, end)


def outcome(folder: str, error: BaseException | None) -> dict:
    """What ``sweep_state.json`` says of a run that has ended."""
    if read_results(folder) is not None:
        return dict(state='finished', error=None)
    if isinstance(error, (Stopped, KeyboardInterrupt)):
        return dict(state='interrupted', error='stopped')
    missing = 'ended well, but without a complete results.json: is default_hooks.report off?'
    return dict(state='failed', error=missing if error is None else f'error: {error}')
