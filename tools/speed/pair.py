"""Our path and a slow one, measured in turn."""

import functools
from collections.abc import Callable

from .meter import Meter, flops, in_turn, peak_tflops
from .models import build
from .tasks import Task, differences

PARTS = ('text', 'train_step', 'evaluation')


class Pair:
    """Our path with all classes, and the plain one with as many as it bears.

    Args:
        part (str): Out of ``PARTS``.
        count (int): Number of classes.
        plain_limit (int): Most classes of the plain path. With more it runs
            with this many and with half of them, and is carried on from both.
        make (Callable): :func:`build`, of a number of classes and ``dtype``.
        batch_size (int): Images per step.
        dtype (str): Of our path.
        plain_dtype (str): Of the plain one.
        **options: ``slow`` and ``guided``, see :class:`Task`.
    """

    def __init__(
        self,
        part: str,
        count: int,
        plain_limit: int,
        make: Callable,
        batch_size: int,
        dtype: str,
        plain_dtype: str,
        **options,
    ):
        self.count = count
        self.sizes = [count] if count <= plain_limit else [plain_limit // 2, plain_limit]

        def task(size: int, dtype: str) -> Task:
            return Task(part, make(size, dtype=dtype), batch_size, **options)

        self.ours = task(count, dtype)
        same = dtype == plain_dtype
        self.plain_tasks = [
            self.ours if same and size == count else task(size, plain_dtype) for size in self.sizes
        ]
        self._task = functools.partial(task, dtype=dtype)

    def calls(self) -> dict:
        """What is measured: 'ours', and the plain path by number of classes."""
        found: dict = dict(ours=functools.partial(self.ours.run, False))
        for size, task in zip(self.sizes, self.plain_tasks):
            found[size] = functools.partial(task.run, True)
        return found

    def plain(self, values: list[float]) -> float:
        """The plain path with all classes, of one value per size."""
        return carried_on(self.count, self.sizes, values)

    def differences(self) -> dict:
        """How far the paths are apart, with the most classes that both have."""
        most = self.sizes[-1]
        return differences(
            self.ours if self.count == most else self._task(most), self.plain_tasks[-1]
        )

    def text_tokens(self) -> dict:
        """Tokens that the text tower computes."""
        model = self.ours.model
        packing = (model.text_prompt or model.templates[0]).packing
        return dict(
            ours_text_tokens=packing.prefix.numel() + packing.own.numel(),
            plain_text_tokens=self.count * model.text_tower.context_length,
        )

    def note(self) -> dict:
        """``plain_note`` where the plain path was carried on."""
        if len(self.sizes) == 1:
            return {}
        few, more = self.sizes
        note = f'measured with {few} and {more} classes, carried on in a straight line'
        return dict(plain_note=note)


def benchmark(
    part: str,
    count: int,
    arch: str,
    batch_size: int,
    device: str,
    dtype: str,
    plain_dtype: str,
    repeat: int,
    plain_limit: int,
    warm_up: int = 1,
    count_flops: bool = True,
    *,
    method: dict,
    clock: str = 'wall',
    **options,
) -> dict:
    """Measure one part with one number of classes.

    Args:
        part (str): Out of ``PARTS``.
        count (int): Number of classes.
        arch (str): open_clip's name.
        batch_size (int): Images per step.
        device (str): 'cpu', 'cuda', ...
        dtype (str): Of the frozen towers: 'fp32', 'bf16', ...
        plain_dtype (str): The same for the plain path.
        repeat (int): Measured rounds; medians are given.
        plain_limit (int): Most classes of the plain path.
        warm_up (int): Rounds that are not counted, first.
        method (dict): ``model`` of the method's base config. One whose text
            is hand-written, or depends on the images, has no part 'text'.
        count_flops (bool): Whether to count FLOPs, in one more run of each.
        clock (str): 'wall', or 'cpu': processor seconds, for busy machines.
        **options: ``slow`` and ``guided``, see :class:`Task`.

    Returns:
        dict: ``ours_s``, ``plain_s``, ``ratio``, ``ours_peak_mib``,
        ``plain_peak_mib``, ``max_abs_diff``, ``max_rel_grad_diff``, tokens
        and FLOPs, and ``plain_note`` where the plain path was extrapolated.
    """
    make = functools.partial(build, arch=arch, device=device, method=method)
    pair = Pair(part, count, plain_limit, make, batch_size, dtype, plain_dtype, **options)
    calls = pair.calls()
    measured = in_turn(calls, Meter(device, clock), repeat, warm_up)
    ours = measured['ours']
    plain = [pair.plain([measured[s][i] for s in pair.sizes]) for i in range(2)]
    row = dict(
        ours_s=ours[0],
        plain_s=plain[0],
        ratio=plain[0] / ours[0],
        ours_peak_mib=ours[1],
        plain_peak_mib=plain[1],
        **pair.differences(),
        **pair.text_tokens(),
    )
    if count_flops:
        row['ours_flops'] = flops(calls['ours'])
        row['ours_tflops_per_s'] = row['ours_flops'] / ours[0] / 1e12
        peak = peak_tflops(device, dtype)
        if peak:
            row['share_of_peak'] = row['ours_tflops_per_s'] / peak
        row['plain_flops'] = pair.plain([flops(calls[s]) for s in pair.sizes])
    return {**row, **pair.note()}


def carried_on(count: int, sizes: list[int], values: list[float]) -> float:
    """Carry two measurements on in a straight line."""
    if len(sizes) == 1:
        return values[0]
    slope = (values[1] - values[0]) / (sizes[1] - sizes[0])
    return values[1] + slope * (count - sizes[1])
