"""Figures that stay on the device until the log is written: to read one is to wait for the GPU."""

from typing import Any, NamedTuple

import torch
from mmengine.hooks import CheckpointHook, Hook, LoggerHook, RuntimeInfoHook
from mmpretrain.registry import HOOKS


class Figure(NamedTuple):
    """A figure of one iteration.

    Attributes:
        name (str): What it is.
        value (float): Read from the device.
        iteration (int): Counted from 0.
        epoch (int): Counted from 0.
    """

    name: str
    value: float
    iteration: int
    epoch: int


class DeferredHook(Hook):
    """Base of the hooks that look at figures of every iteration.

    Those on the CPU are read at once. Those on another device are read together, by one
    transfer, in the iterations in which the logger writes, at the end of an epoch, before a
    validation and before a checkpoint.
    """

    def __init__(self) -> None:
        self._waiting: list[tuple[str, torch.Tensor, int, int]] = []

    def look(self, runner: Any, figures: list[Figure]) -> None:
        """Do with the figures, in their order, what the hook is for."""
        raise NotImplementedError

    def add(self, runner: Any, figures: dict[str, Any]) -> None:
        """Take in figures of the running iteration: numbers, or tensors of one element."""
        at = runner.iter, runner.epoch
        ready = []
        for name, value in figures.items():
            if not isinstance(value, torch.Tensor):
                ready.append(Figure(name, value, *at))
            elif waits(value):
                self._waiting.append((name, value.detach().reshape(()), *at))
            else:
                ready.append(Figure(name, value.item(), *at))
        self.look(runner, ready)

    def read(self, runner: Any) -> None:
        """Look at what has waited."""
        waiting, self._waiting = self._waiting, []
        if waiting:
            values = torch.stack([value for _, value, *_ in waiting]).tolist()
            self.look(runner, [Figure(name, v, *at) for (name, _, *at), v in zip(waiting, values)])

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        """Take in the losses, and read what has waited if the log is written now."""
        self.add(runner, outputs or {})
        if self._due(runner, batch_idx):
            self.read(runner)

    def _due(self, runner: Any, batch_idx: int) -> bool:
        """Whether the log or a checkpoint is written after this iteration."""
        return (
            self.end_of_epoch(runner.train_dataloader, batch_idx)
            or self.is_last_train_iter(runner)
            or any(
                isinstance(hook, LoggerHook)
                and self.every_n_inner_iters(batch_idx, hook.interval)
                or isinstance(hook, CheckpointHook)
                and not hook.by_epoch
                and self.every_n_train_iters(runner, hook.interval)
                for hook in runner.hooks
            )
        )

    def after_train_epoch(self, runner):
        """Read what has waited; a loop's last batch may not be its loader's."""
        self.read(runner)

    def before_val(self, runner):
        """Read what has waited, in a loop that validates between two iterations."""
        self.read(runner)

    def before_save_checkpoint(self, runner, checkpoint):
        """Read what has waited, before anything is written."""
        self.read(runner)


def waits(value: torch.Tensor) -> bool:
    """Whether to read a tensor would be to wait for the device."""
    return value.device.type != 'cpu'


@HOOKS.register_module()
class LoggedInfoHook(DeferredHook, RuntimeInfoHook):
    """MMEngine's hook, whose losses reach the message hub when the log is written."""

    priority = 'VERY_HIGH'

    def look(self, runner, figures):
        for name, value, *_ in figures:
            runner.message_hub.update_scalar(f'train/{name}', value)

    def before_val(self, runner):
        """As both base classes."""
        DeferredHook.before_val(self, runner)
        RuntimeInfoHook.before_val(self, runner)
