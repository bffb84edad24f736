"""Several processes: how they meet, wait, and tell which of them failed."""

import atexit
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from datetime import timedelta

import torch.distributed as dist
from mmengine.dist import get_world_size, is_main_process

# Rank, number of processes and local rank in the environment, by launcher.
VARIABLES = dict(
    pytorch=('RANK', 'WORLD_SIZE', 'LOCAL_RANK'),
    slurm=('SLURM_PROCID', 'SLURM_NTASKS', 'SLURM_LOCALID'),
    mpi=('OMPI_COMM_WORLD_RANK', 'OMPI_COMM_WORLD_SIZE', 'OMPI_COMM_WORLD_LOCAL_RANK'),
)
TIMEOUT = 600  # seconds; NCCL's own default, gloo's is 30 minutes
SPEAK_AFTER = 3  # seconds


def number_process(launcher):
    """Put rank and number of processes where PyTorch looks for them.

    Args:
        launcher (str): 'none', or one of ``VARIABLES``.

    Raises:
        ValueError: If the launcher has not set its environment variables.
    """
    for wanted, given in zip(VARIABLES['pytorch'], VARIABLES.get(launcher, ())):
        if given not in os.environ:
            raise ValueError(
                f'--launcher {launcher} needs the environment variable {given}: '
                'start with tools/dist_train.sh or tools/slurm_train.sh'
            )
        os.environ[wanted] = os.environ[given]


def join_cpu_processes(cfg):
    """Connect the processes without GPUs, which MMEngine's ``init_dist`` cannot.

    Args:
        cfg (Config): ``launcher``; ``env_cfg.dist_cfg.timeout`` in seconds.
    """
    if not dist.is_initialized():
        if cfg.launcher == 'slurm':
            os.environ.setdefault('MASTER_PORT', '29500')
            if 'MASTER_ADDR' not in os.environ:
                os.environ['MASTER_ADDR'] = first_node(os.environ['SLURM_NODELIST'])
        seconds = cfg.get('env_cfg', {}).get('dist_cfg', {}).get('timeout', TIMEOUT)
        dist.init_process_group('gloo', timeout=timedelta(seconds=seconds))
    # buffers are frozen, or the same by what all processes do
    cfg.setdefault(
        'model_wrapper_cfg',
        dict(type='MMDistributedDataParallel', device_ids=None, broadcast_buffers=False),
    )


def first_node(nodes):
    """str: First host name of SLURM's short list of nodes."""
    found = subprocess.run(
        ['scontrol', 'show', 'hostnames', nodes], check=True, stdout=subprocess.PIPE, text=True
    ).stdout.split()
    return found[0]


@contextmanager
def main_process_alone(hours=24):
    """The first process works inside this context, the others wait at its end.

    They may wait longer than the timeout of the other exchanges. If the first
    one dies, their connection breaks and they end, too.

    Yields:
        bool: Whether this process is the one to work.
    """
    if get_world_size() == 1:
        yield True
        return
    group = dist.new_group(backend='gloo', timeout=timedelta(hours=hours))
    yield is_main_process()
    dist.barrier(group=group)
    dist.destroy_process_group(group)


def place():
    """tuple[int, int]: Rank and number of processes, even before they have met."""
    return int(os.environ.get('RANK', 0)), int(os.environ.get('WORLD_SIZE', 1))


def whose():
    """str: Which process speaks, if there are several."""
    rank, world = place()
    return f' (rank {rank} of {world}, {os.uname().nodename})' if world > 1 else ''


def lost_connection(error):
    """bool: Whether an error says only that another process is gone."""
    words = ('gloo', 'nccl', 'connection closed by peer', 'connection reset by peer')
    return (
        place()[1] > 1
        and isinstance(error, RuntimeError)
        and (isinstance(error, dist.DistError) or any(w in str(error).lower() for w in words))
    )


def let_others_speak(error):
    """Put the error that counts into torchrun's report and on the screen.

    If all processes fail, the first one speaks: the launcher ends the others
    while they wait. If one has lost another, it waits for that one's error.
    """
    lost = lost_connection(error)
    if place()[1] == 1:
        return
    if not lost:
        from torch.distributed.elastic.multiprocessing.errors import get_error_handler

        get_error_handler().record_exception(error)
    if lost or place()[0]:
        time.sleep(SPEAK_AFTER)


def leave():
    """Shut the communication down before the process ends; one of several that a launcher has
    started ends here.

    Its interpreter is not taken down: there, with all work done, gloo's threads have aborted a
    process now and then, which the launcher reports as a failure.
    """
    if not dist.is_initialized():
        return
    if place()[1] > 1:
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)
    dist.destroy_process_group()
