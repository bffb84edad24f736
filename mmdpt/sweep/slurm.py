"""An array of jobs on a cluster, through submitit's SLURM executor."""

import os
import os.path as osp
import time

from .job import read_json, write_json

POLL = 5  # seconds between two looks at the runs' folders, at most
GENERIC = ('name', 'timeout_min', 'mem_gb', 'nodes', 'cpus_per_task', 'gpus_per_node')


class Pack:
    """Several runs that share a job (and its GPU), one task each.

    Args:
        jobs (list[Job]): As many as there are tasks, or fewer.
    """

    def __init__(self, jobs):
        self.jobs = jobs

    def __call__(self):
        """Run the one of this task."""
        rank = int(os.environ.get('SLURM_PROCID', 0))
        return self.jobs[rank]() if rank < len(self.jobs) else None

    def checkpoint(self):
        """What submitit submits again after a preemption: the same, which goes on."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


def parse_options(text):
    """dict: ``partition=gpu,timeout_min=600`` as submitit's parameters.

    Raises:
        ValueError: If it is not of this form.
    """
    found = {}
    for part in filter(None, (text or '').split(',')):
        key, equals, value = part.partition('=')
        if not equals:
            raise ValueError(
                f"--slurm-options: '{part}' is not NAME=VALUE; for example "
                'partition=gpu,timeout_min=600,gpus_per_node=1'
            )
        key = key.strip()
        value = int(value) if value.strip().isdigit() else value.strip()
        found[key if key in GENERIC else f'slurm_{key}'] = value
    return found


def make_executor(folder, options, per_job=1):
    """Executor: submitit's, with the given parameters.

    Raises:
        ValueError: If submitit or SLURM does not take them.
    """
    import submitit

    if not {'timeout_min', 'slurm_time'} & set(options):
        raise ValueError(
            '--slurm-options needs timeout_min=MINUTES, the longest that a job may '
            "take: submitit's default is 5"
        )
    try:
        executor = submitit.AutoExecutor(folder, cluster='slurm')
        executor.update_parameters(
            **{'name': 'sweep', 'stderr_to_stdout': True, 'tasks_per_node': per_job, **options}
        )
    except (NameError, RuntimeError, AssertionError) as error:
        raise ValueError(f'--executor slurm: {error}') from error
    return executor


def run_slurm(runs, make_job, options, work_dir, ended, per_job=1):
    """Submit one array of jobs, and report each run that has ended.

    The jobs outlive this process: jobs of an earlier call that still wait or
    run are not submitted again.

    Args:
        runs, make_job, work_dir, ended: As in :func:`run_local`.
        options (dict): See :func:`parse_options`.
        per_job (int): Runs per job, which share its GPU.
    """
    import submitit

    folder = osp.join(work_dir, '.sweep', 'slurm')
    known = read_json(osp.join(work_dir, '.sweep', 'jobs.json')) or {}
    active = {}
    for run in runs:
        if known.get(run.name, {}).get('hash') == run.hash:
            job = submitit.SlurmJob(folder, known[run.name]['job'])
            if not job.done():
                active[run.name] = run, job
    fresh = [run for run in runs if run.name not in active]
    packs = [fresh[i : i + per_job] for i in range(0, len(fresh), per_job)]
    if packs:
        executor = make_executor(folder, options, per_job)
        with executor.batch():
            jobs = [executor.submit(Pack([make_job(run, {}) for run in pack])) for pack in packs]
        active.update({run.name: (run, job) for pack, job in zip(packs, jobs) for run in pack})
        write_json(
            {name: dict(hash=run.hash, job=job.job_id) for name, (run, job) in active.items()},
            osp.join(work_dir, '.sweep', 'jobs.json'),
        )
    wait = 0.1
    while active:
        for name in [n for n, (_, job) in active.items() if job.done()]:
            ended(*active.pop(name))
        time.sleep(wait if active else 0)
        wait = min(2 * wait, POLL)
