"""Random numbers of a training step that do not depend on the process."""

import numpy as np
import torch
from mmengine.logging import MessageHub


def mix(*numbers: int) -> int:
    """A random 32-bit number that depends on all of these."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])


def step_seed() -> tuple[int, int]:
    """Seed and iteration of the training; random numbers outside a training."""
    hub = MessageHub.get_current_instance()
    seed, iteration = hub.get_info('seed'), hub.get_info('iter')
    if seed is None or iteration is None:
        return tuple(torch.randint(2**31, (2,)).tolist())
    return int(seed), int(iteration)
