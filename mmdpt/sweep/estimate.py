"""How long runs take on a GPU and how much disk they need, roughly, before they start."""

import os.path as osp
from typing import NamedTuple

from ..datasets.benchmarks import Benchmark, get_benchmark
from .job import read_results

SPEED = 100.0  # training images per second
FASTER = 3.0  # a test image takes no backward pass
CHECKPOINT = 8e6  # bytes of checkpoints, logs and results of a run


class Cost(NamedTuple):
    """Of one run."""

    train_images: int
    test_images: int
    bytes: float


class Estimate(NamedTuple):
    """Of all runs."""

    hours: float
    gigabytes: float
    basis: str


def cost(run, tests: int) -> Cost:
    """What a run sees and leaves.

    Args:
        run (Run): Resolved.
        tests (int): How often the test list is seen.
    """
    content = run.content
    benchmark = get_benchmark(content['dataset']['name'])
    classes = len(benchmark.classes) or benchmark.num_classes or 0
    if content['dataset'].get('subset', 'all') != 'all':
        classes = (classes + 1) // 2
    shots = content['train_dataloader']['dataset'].get('shots') or 0
    epochs = content['train_cfg'].get('max_epochs') or 1
    images = _test_images(benchmark)
    return Cost(shots * classes * epochs, images * tests, 8.0 * images * classes + CHECKPOINT)


def _test_images(benchmark: Benchmark) -> int:
    return benchmark.sizes[2] if benchmark.sizes else 899  # of the digits


def estimate(runs, work_dir: str, tests: int, speed: float | None = None) -> Estimate:
    """Add the runs up.

    Args:
        runs (list[Run]): All.
        work_dir (str): Finished ones in it give the speed, if ``speed`` does not.
        tests (int): How often each run sees the test list.
        speed (float, optional): Training images per second on one GPU.
    """
    costs = {run.name: cost(run, tests) for run in runs}
    speed, basis = _speed(runs, costs, work_dir) if speed is None else (speed, 'as given')
    seconds = sum(c.train_images + c.test_images / FASTER for c in costs.values()) / speed
    return Estimate(
        seconds / 3600,
        sum(c.bytes for c in costs.values()) / 1e9,
        f'{speed:.0f} training images per second, {basis}; a test image takes a third of the time',
    )


def _speed(runs, costs: dict[str, Cost], work_dir: str) -> tuple[float, str]:
    done = {run.name: read_results(osp.join(work_dir, run.name)) for run in runs}
    timed = {
        name: found['train_seconds']
        for name, found in done.items()
        if found and 'few_shot' in found
    }
    seconds = sum(timed.values())
    if seconds > 0:
        images = sum(costs[name].train_images for name in timed)
        return images / seconds, f'measured in {len(timed)} finished runs here'
    return SPEED, 'assumed, not measured (--images-per-second is another)'
