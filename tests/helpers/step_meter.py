"""What a training step makes a GPU's program wait for, counted on the CPU."""

from collections import Counter
from contextlib import contextmanager, nullcontext

import torch
from mmengine.hooks import Hook
from torch._dynamo.utils import counters
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

# operators that hand a value of the device to Python, or give a shape that depends on one
READS = {'_local_scalar_dense', 'equal', 'is_nonzero', 'nonzero', 'masked_select', '_unique2'}
COPIES = {'lift_fresh'}  # torch.tensor(numbers): on a GPU a copy from the host
METHODS = {'tolist', 'numpy', 'cpu'}  # no operator of their own on the CPU


class Operators(TorchDispatchMode):
    """Count all operators, and those that wait.

    Args:
        optimizer (Optimizer, optional): Its counters of steps do not count: they are on
            the CPU wherever the model is.
    """

    def __init__(self, optimizer=None):
        super().__init__()
        self.waits, self.all, self.optimizer = Counter(), 0, optimizer

    def _counts_steps(self, value):
        states = self.optimizer.state.values() if self.optimizer else ()
        return any('step' in s and s['step'].data_ptr() == value.data_ptr() for s in states)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        self.all += 1
        by_mask = name == 'index' and any(i is not None and i.dtype is torch.bool for i in args[1])
        mine = name == '_local_scalar_dense' and self._counts_steps(args[0])
        if (name in READS | COPIES or by_mask) and not mine:
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
def metered(optimizer=None):
    """Give the :class:`Operators` of what happens inside."""
    operators = Operators(optimizer)
    with operators, Methods(operators.waits):
        yield operators


class StepMeter(Hook):
    """Meter every step of a runner's training, its hooks included.

    Args:
        count (bool): Whether to count operators, which torch.compile does not allow.

    Attributes:
        waits (list[Counter]): Per step, what waits; empty for the first of an optimizer,
            which makes its state.
        graphs (list[int]): How many graphs there were after each step.
    """

    def __init__(self, count):
        self.count, self.waits, self.graphs = count, [], []

    def before_train(self, runner):
        run_iter = runner.train_loop.run_iter

        def run(index, batch):
            optimizer = runner.optim_wrapper.optimizer
            first = not optimizer.state
            with metered(optimizer) if self.count else nullcontext() as operators:
                run_iter(index, batch)
            self.waits.append(Counter() if first or not self.count else operators.waits)
            self.graphs.append(counters['stats'].get('unique_graphs', 0))

        runner.train_loop.run_iter = run
