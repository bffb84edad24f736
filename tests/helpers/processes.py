"""Several processes on this machine, joined by gloo."""

import datetime
import os
import sys

import torch
import torch.distributed as dist
import torch.multiprocessing as mp


def run_processes(work, world, folder, *arguments, timeout=120):
    """Call ``work(rank, world, folder, *arguments)`` in each of ``world`` processes.

    Args:
        work (callable): Of a module; leaves what it found in the folder.
        world (int): Number of processes.
        folder (Path): Where they meet.
        arguments: Further ones, that can be pickled.
        timeout (float): Seconds that they wait for each other.
    """
    mp.start_processes(
        _process,
        args=(work, world, str(folder), arguments, timeout),
        nprocs=world,
        start_method='spawn',
    )


def _process(rank, work, world, folder, arguments, timeout):
    torch.set_num_threads(1)
    os.environ['LOCAL_RANK'] = str(rank)
    dist.init_process_group(
        'gloo',
        init_method=f'file://{folder}/meet{world}',
        rank=rank,
        world_size=world,
        timeout=datetime.timedelta(seconds=timeout),
    )
    work(rank, world, folder, *arguments)
    dist.barrier()
    # The interpreter is not taken down: a process aborted there in CI once, with all its work
    # written. How the tools end is tested where they are started by torchrun.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
