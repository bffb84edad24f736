"""Figures that stay on the device until the log is written, as if the CPU were a GPU."""

import numpy as np
import pytest
import torch
from helpers.engine_toy import hook, toy_config
from mmengine.runner import Runner

from mmdpt.engine import deferred, latest_checkpoint
from mmdpt.engine.hooks import StopOnNaNHook


def runner_of(folder, **kwargs):
    """A Runner of the toy: three iterations an epoch."""
    cfg = toy_config(folder, **kwargs)
    cfg.experiment_name = str(folder)
    return Runner.from_cfg(cfg)


def pretend(monkeypatch, waits):
    monkeypatch.setattr(deferred, 'waits', lambda value: waits)


def test_the_log_is_the_same(tmp_path, monkeypatch):
    found = []
    for waits in (False, True):
        pretend(monkeypatch, waits)
        runner = runner_of(tmp_path / str(waits), epochs=3)
        runner.train()
        found.append(runner.message_hub.log_scalars['train/loss'].data[0])
    assert len(found[0]) == 9 and np.array_equal(*found)


def test_values_are_read_where_the_log_is_written(tmp_path, monkeypatch):
    pretend(monkeypatch, True)
    runner, lengths = runner_of(tmp_path, epochs=2), []

    def remember(self, runner, batch_idx, data_batch=None, outputs=None):
        buffer = runner.message_hub.log_scalars.get('train/loss')
        lengths.append(0 if buffer is None else len(buffer.data[0]))

    runner.register_hook(hook('LOWEST', after_train_iter=remember))
    runner.train()
    assert lengths == [0, 0, 3, 3, 3, 6]


def test_nan_names_its_own_iteration(tmp_path, monkeypatch):
    """It is found at the end of the epoch, before anything is saved."""
    pretend(monkeypatch, True)
    runner = runner_of(tmp_path, poison=7)
    with pytest.raises(FloatingPointError, match=r'iteration 7 \(epoch 3\): .*nan.*epoch_2.pth'):
        runner.train()
    assert runner.iter == 8  # the ninth was running
    assert latest_checkpoint(str(tmp_path)) == str(tmp_path / 'epoch_2.pth')


def test_nothing_is_saved_or_validated_unseen(tmp_path, monkeypatch):
    pretend(monkeypatch, True)
    runner = runner_of(tmp_path)
    runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    for event, arguments in dict(before_save_checkpoint=(None,), before_val=()).items():
        stop = StopOnNaNHook()
        stop.add(runner, {'loss is': torch.tensor(float('inf'))})
        with pytest.raises(FloatingPointError, match='loss is inf'):
            getattr(stop, event)(runner, *arguments)


def test_scaled_gradients_are_the_scalers_matter(tmp_path):
    """A fused optimizer under loss scaling is told which steps to skip."""
    runner = runner_of(tmp_path, epochs=1)
    runner.optim_wrapper['optimizer']['fused'] = True
    runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    optimizer, stop = runner.optim_wrapper.optimizer, StopOnNaNHook()
    stop.before_train_epoch(runner)
    for parameter in optimizer.param_groups[0]['params']:
        parameter.grad = torch.full_like(parameter, float('inf'))
    optimizer.found_inf = torch.ones(())  # as a GradScaler sets it
    optimizer.step()
    del optimizer.found_inf
    with pytest.raises(FloatingPointError, match='the norm inf'):
        optimizer.step()
