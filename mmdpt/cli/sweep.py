"""Run many trainings: datasets x shots x seeds x methods x architectures.

The command line: arguments/sweep.py.
"""

import os
import os.path as osp
import signal
import sys
from functools import partial

from .. import sweep
from ..datasets.data_protocol import read_protocol
from ..engine.cli import friendly_errors
from ..engine.provenance import package_commit, versions
from ..sweep import job, local, slurm
from ..sweep.board import Board
from ..sweep.check import check_runs
from ..sweep.compose import choices
from ..sweep.interval import interval_lines
from ..sweep.plan import plan_file, plan_grid, select
from ..sweep.runs import find_tool
from ..sweep.state import claim, forget_failure
from ..sweep.together import choose_together, group_runs, run_groups
from ..utils import seal
from ..utils.checks import check_least
from ..utils.files import write_json
from ..utils.locks import FolderLock
from ..utils.outputs import Output, check_outputs
from . import train
from .arguments import train as train_arguments
from .arguments.sweep import parse_args

GRID = ('methods', 'archs', 'datasets', 'shots', 'seeds')


def plan(args):
    """list[Run]: What the command line asks for.

    Raises:
        ValueError: If that is contradictory or impossible.
    """
    counts = dict(slots=args.slots, per_gpu=args.per_gpu, together=args.together)
    for name, value in ((f'--{n.replace("_", "-")}', v) for n, v in counts.items()):
        if value is not None:
            check_least(name, value, 1)
    if args.slots and args.gpus:
        raise ValueError('--slots counts runs on the CPU, --gpus uses GPUs: give one of them')
    check_together(args)
    given = [name for name in GRID if getattr(args, name) is not None]
    if args.file:
        if given:
            raise ValueError(f'the sweep file says what runs: leave --{given[0]} out')
        runs = plan_file(args.file, args.cfg_options)
    else:
        missing = [f'--{n}' for n in GRID[:3] if n not in given]
        if missing:
            raise ValueError(f'give a sweep file, or {", ".join(missing)}, too')
        runs = plan_grid(
            args.methods,
            args.archs,
            args.datasets,
            args.shots,
            args.seeds or (1, 2, 3),
            args.cfg_options,
            osp.join(args.work_dir, '.sweep', 'composed'),
        )
    return select(runs, args.only) if args.only else runs


def check_together(args):
    """Raise ValueError if --together meets an option that it has no use for."""
    if args.together is None and args.rest_alone:
        raise ValueError('--rest-alone says what --together does not take: give that, too')
    if args.together is None or args.rest_alone:
        return
    for name in ('slots', 'gpus', 'slurm_options'):
        if getattr(args, name):
            raise ValueError(
                f'--together trains in this process: leave --{name.replace("_", "-")} out'
            )


def make_job(work_dir, driver, run, env):
    """Job: That of a run, with its resolved config written."""
    folder = osp.join(work_dir, run.name)
    moved = claim(run, work_dir)
    if moved:
        print(f'{run.name}: the results of another config of this name are now in {moved}')
    config = run.write_config(osp.join(work_dir, '.sweep', 'configs'))
    command = [sys.executable, find_tool(run), config, '--work-dir', folder]
    package = osp.dirname(osp.dirname(osp.dirname(osp.abspath(sweep.__file__))))
    path = os.pathsep.join(filter(None, [package, os.environ.get('PYTHONPATH')]))
    start = partial(job.Job, folder=folder, env=dict(env, PYTHONPATH=path), driver=driver)
    if run.tool == 'train':
        return start([*command, '--resume'])
    metrics = osp.join(folder, 'metrics.json')
    shared = run.content.get('dataset') or {}
    return start(
        [*command, '--out', metrics, '--overwrite'],
        metrics=metrics,
        results=dict(
            config=osp.join(folder, osp.basename(config)),
            evaluation_only=True,
            benchmark=shared.get('name'),
            data_protocol=read_protocol(shared.get('protocol')).noted(),
            shots=None,
            seed=None,
            few_shot=None,
            versions=versions(),
            commit=package_commit(),
        ),
    )


def alone(work_dir):
    """The lock of the sweep's folder, held until the process ends.

    Raises:
        ValueError: If another sweep holds it.
    """
    folder = osp.join(work_dir, '.sweep')
    os.makedirs(folder, exist_ok=True)
    return FolderLock(
        osp.join(folder, 'lock'),
        f'another sweep is at work in {work_dir} ({{holder}}): wait for it, look at it with '
        '--list, or give another --work-dir',
    )


def run_all(args, board, runs):
    """Start the runs and wait for them.

    Raises:
        ImportError: If submitit is missing.
    """
    try:
        import cloudpickle
        import submitit  # noqa: F401
    except ImportError as error:
        raise ImportError(f"sweeps need submitit ({error}): pip install 'mmdpt[sweep]'") from error
    # submitit pickles the job with its code: its process imports nothing of ours
    for module in (job, slurm, seal):
        cloudpickle.register_pickle_by_value(module)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    board.begin(runs)
    if args.executor == 'slurm':
        start = partial(make_job, args.work_dir, None)
        slurm.run_slurm(
            runs,
            start,
            slurm.parse_options(args.slurm_options),
            args.work_dir,
            board.end,
            args.per_gpu,
        )
    else:
        places = local.slots(args.slots, args.gpus and args.gpus.split(','), args.per_gpu)
        start = partial(make_job, args.work_dir, os.getpid())
        local.run_local(runs, start, places, args.work_dir, board.end)


def start(args, runs):
    """Check the runs, start those that are not finished, and wait for them.

    Returns:
        Board: How they ended.
    """
    lock = alone(args.work_dir)  # noqa: F841  (held to the end)
    board = Board(runs, args.work_dir)
    pending = board.pending(args.retry_failed)
    check_runs(pending)
    fit = [] if args.together is None else choose_together(pending, args.rest_alone)
    for run in pending:
        if board.states[run.name].state == 'failed':
            forget_failure(run, args.work_dir)
    try:
        if fit:
            board.begin(pending)
            run_groups(group_runs(fit, args.together), args.work_dir, resumed, board.end)
        alone_runs = [run for run in pending if run not in fit]
        if alone_runs or not fit:
            run_all(args, board, alone_runs)
    finally:  # also when it is interrupted
        board.refresh()
        write_table(args, board)
        print(board.summary())
    return board


def resumed(config, folder):
    """Config: That of a run, as tools/train.py CONFIG --work-dir FOLDER --resume has it."""
    options = [config, '--work-dir', folder, '--resume']
    return train.configure(train_arguments.parse_args(options))


def main(argv: list[str] | None = None) -> None:
    """Run the sweep."""
    args = parse_args(argv)
    args.work_dir = osp.abspath(args.work_dir)
    with friendly_errors(args.debug, '; the same command goes on'):
        check_outputs([Output('--json', args.json, 'json')], [args.file], args.overwrite)
        if args.list and not args.file and not any(getattr(args, name) for name in GRID):
            print('\n'.join(f'{option:10}  {" ".join(names)}' for option, names in choices()))
            return
        runs = plan(args)
        if args.interval is not None:
            board = Board(runs, args.work_dir)
            print('\n'.join(interval_lines(board, args.interval)))
        elif args.list:
            check_runs(runs, files=False)
            board = Board(runs, args.work_dir)
            print('\n'.join([*board.lines(), board.summary()]))
            write_table(args, board)
        else:
            report_failures(start(args, runs))


def write_table(args, board):
    """Write the table of states, if wanted."""
    if args.json:
        write_json(board.table(), args.json, indent=2)


def report_failures(board):
    """List failed runs; exit with status 1 unless all runs are finished."""
    failed = [run.name for run in board.runs if board.states[run.name].state == 'failed']
    for name in failed:
        print(f'failed: {name}: {board.states[name].error}', file=sys.stderr)
    if failed:
        print('--retry-failed runs them again', file=sys.stderr)
    if board.count('finished') < len(board.runs):
        sys.exit(1)
