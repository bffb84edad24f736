"""Trainings of one process whose steps are computed together.

Every run keeps a Runner of its own: data, optimizer, schedule, hooks, checkpoints, results and
logs are those of a run by itself. The Runners take turns (:mod:`.turns`) and meet twice per
step: for the forward pass of all their images (:mod:`mmdpt.models.stacked`), and for one backward
pass of the sum of their losses. What one run learns has no part in another's loss, so each gets
its own gradient.
"""

import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple, TextIO

import torch
from mmengine.config import Config
from mmengine.optim import OptimWrapper
from mmengine.runner import EpochBasedTrainLoop, Runner

from mmdpt.evaluation.frozen_features import keep_rows
from mmdpt.models.clip.load import keep_clip
from mmdpt.models.stacked import check_stackable, stacked_pass
from mmdpt.utils.unwrap import unwrapped

from .cli import build_runner
from .interrupts import Stopped, train_or_stop
from .report import FewShotReportHook
from .turns import Turns, World


class Plan(NamedTuple):
    """A run of a group.

    Attributes:
        name (str): For messages.
        config (Callable): Gives its config, as ``tools/train.py`` has it, in its first turn.
        stream (TextIO, optional): Where its output goes.
        ended (Callable): Told, in its last turn, None or why it ended.
    """

    name: str
    config: Callable[[], Config]
    stream: TextIO | None = None
    ended: Callable[[BaseException | None], None] = lambda error: None


class MeetingOptimWrapper(OptimWrapper):
    """MMEngine's, whose backward pass is that of all runs of a group.

    Args:
        meet (Callable): Takes this run's loss and waits for the others'.
        **kwargs: See the base class.
    """

    def __init__(self, meet: Callable[[torch.Tensor], None], **kwargs):
        super().__init__(**kwargs)
        self.meet = meet

    def backward(self, loss: torch.Tensor, **kwargs) -> None:
        """Gradients of this run, and of the others."""
        self.meet(loss)
        self._inner_count += 1


def train_together(plans: Sequence[Plan]) -> dict[str, BaseException | None]:
    """Train several runs of one frozen CLIP in this process.

    A run that ends, or fails, drops out, and the others go on. Ctrl-C stops all at their next
    step.

    Args:
        plans (Sequence[Plan]): The runs; see :func:`check_config_together` and
            :func:`mmdpt.models.stacked.check_stackable`.

    Returns:
        dict: By name, None or what the run has ended with.
    """
    turns = Turns([World(plan.stream) for plan in plans])
    outcomes: dict[str, BaseException | None] = {}

    def work(place: int, plan: Plan) -> None:
        turns.begin(place)
        error: BaseException | None = None
        try:
            train_or_stop(build_member(plan.config(), place, turns))
        except BaseException as raised:  # a thread has nobody else to tell
            # after Ctrl-C other things may fail as well, such as the processes that load images
            stopped = isinstance(raised, Stopped) or turns.stop is None
            error = raised if stopped else turns.stop
        outcomes[plan.name] = error
        try:
            plan.ended(error)
        finally:
            turns.end(place)

    threads = [
        threading.Thread(target=work, args=item, name=item[1].name, daemon=True)
        for item in enumerate(plans)
    ]
    with keep_clip(), keep_rows(), World().undisturbed():
        for thread in threads:
            thread.start()
        _wait(threads, turns)
    if turns.stop is not None:
        raise turns.stop
    return outcomes


def _wait(threads: Sequence[threading.Thread], turns: Turns) -> None:
    try:
        for thread in threads:
            thread.join()
    except KeyboardInterrupt as stop:  # only the main thread gets it
        turns.stop = stop
        for thread in threads:
            thread.join()


def build_member(cfg: Config, place: int, turns: Turns) -> Runner:
    """A Runner whose steps are computed with those of the others.

    Raises:
        ValueError: If it cannot be trained together with others.
    """
    check_config_together(cfg)
    runner = build_runner(cfg)
    model: Any = unwrapped(runner.model)
    check_stackable(model)
    model.losses = lambda inputs, samples: model.head.loss(
        turns.meet(place, (model, inputs), _forward), samples
    )
    wrapper = dict(
        runner.optim_wrapper,
        type=MeetingOptimWrapper,
        meet=lambda loss: turns.meet(place, loss, _backward),
    )
    runner.optim_wrapper = runner.build_optim_wrapper(wrapper)
    for hook in runner.hooks:
        if isinstance(hook, FewShotReportHook):
            hook.clocks = dict(
                train_seconds=partial(turns.clock, place, 'wall'),
                train_cpu_seconds=partial(turns.clock, place, 'processor'),
            )
    return runner


def _forward(given: list) -> list:
    models, images = zip(*given)
    return stacked_pass([m.sides for m in models], images, [m.head.requires for m in models])


def _backward(losses: list[torch.Tensor]) -> list[None]:
    torch.autograd.backward(losses)
    return [None] * len(losses)


def check_config_together(cfg: Config) -> None:
    """Raise ValueError, naming the setting, unless a training can share its steps with others."""
    model, loop = cfg.get('model') or {}, cfg.get('train_cfg') or {}
    kind = (cfg.get('optim_wrapper') or {}).get('type', 'OptimWrapper')
    reasons = []
    if model.get('type', '').removeprefix('mmpretrain.') != 'PromptedCLIP':
        reasons.append(f'model.type={model.get("type")!r} is not PromptedCLIP')
    if kind != 'OptimWrapper':
        reasons.append(f'optim_wrapper.type={kind!r} makes steps of its own')
    if loop.get('type') not in (None, EpochBasedTrainLoop.__name__):
        reasons.append(f'train_cfg.type={loop["type"]!r} is a loop of its own')
    if model.get('teacher'):
        reasons.append('model.teacher looks at the images of one run')
    if cfg.get('stages'):
        reasons.append('stages change what learns')
    if cfg.get('compile'):
        reasons.append('compile is for one model alone')
    if cfg.get('launcher', 'none') != 'none':
        reasons.append(f'launcher={cfg.launcher!r} divides the batch among processes')
    if reasons:
        raise ValueError('; '.join(reasons))
