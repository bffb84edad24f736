"""Faults on one of several processes, for tests/test_distributed.py."""

import os
import signal
import time

from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmpretrain.registry import DATASETS, HOOKS

from helpers.engine_toy import ToyDataset


@HOOKS.register_module()
class FaultHook(Hook):
    """The last process fails in the fifth iteration."""

    def __init__(self, kind):
        self.kind = kind

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter == 4 and get_rank() == 1:
            getattr(self, self.kind)(runner)

    def exit(self, runner):
        os._exit(7)

    def kill(self, runner):
        os.kill(os.getpid(), signal.SIGKILL)

    def error(self, runner):
        raise RuntimeError('something unforeseen')

    def nan(self, runner):
        inner = runner.model.module
        inner.poison = inner.calls + 1

    def hang(self, runner):
        time.sleep(1000)


@DATASETS.register_module()
class FaultyDataset(ToyDataset):
    """The last process cannot read its images in the second epoch."""

    def __getitem__(self, index):
        if get_rank() == 1 and len(self.epochs) > 1:
            raise ValueError('5.jpg is damaged: replace it')
        return super().__getitem__(index)


@DATASETS.register_module(force=True)
class DeadlyDataset(ToyDataset):
    """Kills the process that loads its eleventh image, or fails there."""

    def __init__(self, kind='kill', **kwargs):
        super().__init__(**kwargs)
        self.kind = kind

    def __getitem__(self, index):
        if index == 10 and self.kind == 'kill':
            os.kill(os.getpid(), signal.SIGKILL)
        if index == 10:
            raise ValueError("The image 'x/10.jpg' does not decode (truncated).")
        return super().__getitem__(index)
