"""A bounded queue on this machine, through submitit's local executor."""

import os
import os.path as osp
import shutil
import signal
import time
from collections import deque
from contextlib import contextmanager, suppress
from pathlib import Path

from .job import STOP
from .state import holder

POLL = 0.1  # seconds between two looks at the running jobs
FOREVER = 60 * 24 * 365  # minutes; submitit stops local jobs after that


def slots(count=None, gpus=None, per_gpu=1):
    """Places for runs, as environment variables of each.

    Args:
        count (int, optional): How many at once on the CPU.
        gpus (list[str], optional): Numbers (or UUIDs) of GPUs. With neither,
            all GPUs that torch sees, or else half as many as CPU cores.
        per_gpu (int): Runs at once on each GPU.

    Returns:
        list[dict]: ``CUDA_VISIBLE_DEVICES`` and, unless it is set already,
        ``OMP_NUM_THREADS``: the cores are shared among the places.
    """
    cores = len(os.sched_getaffinity(0))
    if count is None and gpus is None:
        import torch

        gpus = [str(i) for i in range(torch.cuda.device_count())]
        count = None if gpus else max(1, cores // 2)
    devices = [''] * count if count else [g for _ in range(per_gpu) for g in gpus]
    threads = os.environ.get('OMP_NUM_THREADS', str(max(1, cores // len(devices))))
    return [dict(CUDA_VISIBLE_DEVICES=d, OMP_NUM_THREADS=threads) for d in devices]


def run_local(runs, make_job, places, work_dir, ended):
    """Run them, as many at a time as there are places.

    Ctrl-C, and a sweep that is killed, stops the runs; they can go on later.

    Args:
        runs (list[Run]): In this order.
        make_job (Callable): Gives a :class:`Job` for a run and the variables
            of its place.
        places (list[dict]): See :func:`slots`.
        work_dir (str): Folder of the sweep.
        ended (Callable): Called with each run that has ended, and what submitit knows.
    """
    import submitit

    folder = osp.join(work_dir, '.sweep', 'submitit')
    shutil.rmtree(folder, ignore_errors=True)  # of a sweep that was killed
    executor = submitit.LocalExecutor(folder)
    executor.update_parameters(timeout_min=FOREVER, stderr_to_stdout=True)
    waiting, free, active = deque(runs), list(places), {}
    try:
        while waiting or active:
            while waiting and free:
                run, place = waiting.popleft(), free.pop(0)
                with later(signal.SIGINT):
                    active[run.name] = run, place, executor.submit(make_job(run, place))
            for name in [n for n, (_, _, job) in active.items() if job.done()]:
                run, place, job = active.pop(name)
                free.append(place)
                ended(run, job)
                forget(job)
            time.sleep(POLL)
    except KeyboardInterrupt:
        stop_all(active, work_dir)
        raise


@contextmanager
def later(number):
    """Hold a signal back. What is started meanwhile never gets it: Ctrl-C in a
    terminal goes to all its processes, but the driver alone stops the runs."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {number})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})


def forget(job):
    """Remove submitit's files of a job: ids are process numbers and come again."""
    paths = job.paths
    for path in (paths.submitted_pickle, paths.result_pickle, paths.stdout, paths.stderr):
        path.unlink(missing_ok=True)


def stop_all(active, work_dir):
    """Interrupt the runs and wait until they have ended; a second Ctrl-C kills them."""
    number, told = signal.SIGINT, set()
    for name in active:
        Path(work_dir, name, STOP).touch()
    while any(not job.done() for _, _, job in active.values()):
        try:
            for name, (_, _, job) in active.items():
                pid = None if job.done() else holder(osp.join(work_dir, name))
                if pid and (name, number) not in told:
                    told.add((name, number))
                    with suppress(ProcessLookupError):
                        os.killpg(pid, number)
            time.sleep(POLL)
        except KeyboardInterrupt:
            number = signal.SIGKILL
