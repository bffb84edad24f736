"""The parts of each suite, in their order."""

from collections.abc import Iterator

from .correctness import equality, half_precision, loss_scaling, parity, pretended
from .machine import machine
from .setting import METHODS, Part, Setting
from .steps import beside, evaluation, launch_gaps, steps
from .trainings import deterministic_steps, resumed, whole_run


def about(setting: Setting) -> Iterator[dict]:
    """The machine."""
    import torch

    if setting.cuda and not torch.cuda.is_available():
        raise RuntimeError(
            'torch sees no CUDA device here; --device cpu --small tries the suite without one'
        )
    yield machine(setting.device)


# Whatever is wrong makes all speed worthless, and a step of DPT says most about it.
GPU = {
    'machine': Part(about),
    'equality float64': Part(equality('fp64'), 45),
    'equality float32': Part(equality('fp32'), 45),
    'parity float64': Part(parity('float64', True), 60),
    'parity float32': Part(parity('float32', True), 60),
    'steps dpt eager': Part(steps('dpt', 'eager'), 90),
    'half precision': Part(half_precision, 45),
    'loss scaling': Part(loss_scaling, 30, only_cuda=True),
    'deterministic steps': Part(deterministic_steps, 45),
    'resumed training': Part(resumed, 90),
    'steps dpt graphs': Part(steps('dpt', 'graphs'), 120, only_cuda=True),
    'launch gaps': Part(launch_gaps, 90),
    'whole run': Part(whole_run, 120),
    'evaluation': Part(evaluation, 45),
    'beside reference': Part(beside('reference', ('dpt',)), 60),
    'beside plain': Part(beside('padded', METHODS), 90),
    **{f'steps {m} eager': Part(steps(m, 'eager'), 60) for m in METHODS[1:]},
    **{f'steps {m} graphs': Part(steps(m, 'graphs'), 90, only_cuda=True) for m in METHODS[1:]},
    'steps dpt compiled': Part(steps('dpt', 'compiled'), 90),
    **{
        f'steps {m} compiled': Part(steps(m, 'compiled'), 90, covered='steps dpt compiled')
        for m in METHODS[1:]
    },
    'parity float64, other cases': Part(parity('float64', False), 90, covered='parity float64'),
    'parity float32, other cases': Part(parity('float32', False), 90, covered='parity float32'),
}
DEV = {
    'machine': Part(about),
    'equality float64': Part(equality('fp64'), 60),
    'equality float32': Part(equality('fp32'), 60),
    'pretended GPU': Part(pretended, 60),
    'deterministic steps': Part(deterministic_steps, 60),
    'waits of the host': Part(launch_gaps, 60),
    'beside reference': Part(beside('reference', ('dpt',), 'cpu'), 180),
    'beside plain': Part(beside('padded', METHODS, 'cpu'), 300),
}
SUITES = dict(gpu=GPU, dev=DEV)
