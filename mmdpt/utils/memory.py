"""How much memory a training takes."""

import resource
import sys

import torch

MIB = 2**20


def peak_memory() -> float:
    """The most memory so far, in MiB.

    Returns:
        float: Of tensors on the GPU where it was used, else of the whole process
        (its largest resident set, the imported libraries included).
    """
    if torch.cuda.is_available() and torch.cuda.max_memory_allocated():
        return torch.cuda.max_memory_allocated() / MIB
    unit = 1 if sys.platform == 'darwin' else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / MIB
