"""What a training step makes a GPU's program wait for, counted on the CPU."""

from collections import Counter
from contextlib import contextmanager

import torch
from torch._dynamo.utils import counters
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

# operators that hand a value of the device to Python, or give a shape that depends on one
READS = {'_local_scalar_dense', 'equal', 'is_nonzero', 'nonzero', 'masked_select', '_unique2'}
COPIES = {'lift_fresh'}  # torch.tensor(numbers): on a GPU a copy from the host
METHODS = {'tolist', 'numpy', 'cpu'}  # no operator of their own on the CPU


class Operators(TorchDispatchMode):
    """Count all operators, and those that wait."""

    def __init__(self):
        super().__init__()
        self.waits, self.all = Counter(), 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        self.all += 1
        by_mask = name == 'index' and any(
            i is not None and i.dtype is torch.bool for i in args[1]
        )
        if name in READS | COPIES or by_mask:
            self.waits[name] += 1
        return func(*args, **(kwargs or {}))


class Methods(TorchFunctionMode):
    """Count the methods that wait."""

    def __init__(self, waits):
        super().__init__()
        self.waits = waits

    def __torch_function__(self, func, types, args=(), kwargs=None):
        name = getattr(func, '__name__', '')
        if name in METHODS:
            self.waits[name] += 1
        return func(*args, **(kwargs or {}))


@contextmanager
def metered():
    """Give the :class:`Operators` of what happens inside."""
    operators = Operators()
    with operators, Methods(operators.waits):
        yield operators


class StepMeter:
    """Meter every step of a runner's training loop.

    Attributes:
        steps (list): Per step its :class:`Operators`, how many graphs there were after
            it, and its losses.
    """

    def __init__(self, runner, monkeypatch, count=True):
        self.steps = []
        run_iter = runner.train_loop.run_iter

        def run(index, batch):
            with metered() if count else _nothing() as operators:
                run_iter(index, batch)
            self.steps.append((operators, counters['stats'].get('unique_graphs', 0)))

        monkeypatch.setattr(runner.train_loop, 'run_iter', run)


@contextmanager
def _nothing():
    yield None
