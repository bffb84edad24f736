"""Random numbers that depend on the sample only, not on who loads it."""

import random
from contextlib import contextmanager

import numpy as np
import torch

_kept = False  # whether somebody restores the generators already


@contextmanager
def generators_kept():
    """Restore the generators of ``random``, numpy and torch (CPU) at the end.

    Inside another one it does nothing: around a batch, once is enough.
    """
    global _kept
    if _kept:
        yield
        return
    python_state, numpy_state = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=[]):
        _kept = True
        try:
            yield
        finally:
            _kept = False
            random.setstate(python_state)
            np.random.set_state(numpy_state)


@contextmanager
def sample_randomness(seed: int, epoch: int, index: int):
    """Seed ``random``, numpy and torch (CPU) for one sample, then undo it.

    Augmentations then do not depend on the number of workers or on what was
    loaded before, so a resumed run sees the images of an uninterrupted one.
    """
    # three words: numpy and torch share an algorithm, and with one seed they
    # would give the same stream
    words = np.random.SeedSequence((seed, epoch, index)).generate_state(3)
    with generators_kept():
        random.seed(int(words[0]))
        np.random.seed(words[1])
        torch.default_generator.manual_seed(int(words[2]))
        yield
