"""Randomness per epoch, and the stop at NaN."""

from types import SimpleNamespace

import pytest
import torch
from helpers.engine_toy import ToyDataset, hook, toy_config
from mmengine.runner import Runner
from torch.utils.data import ConcatDataset, Subset

from mmdpt.engine import EpochSeedHook, latest_checkpoint
from mmdpt.engine.hooks import inner_datasets


def runner_of(tmp_path, **kwargs):
    """A Runner of the toy."""
    cfg = toy_config(tmp_path, **kwargs)
    cfg.experiment_name = str(tmp_path)
    return Runner.from_cfg(cfg)


def test_dataset_hears_the_epoch(tmp_path):
    runner = runner_of(tmp_path, epochs=3)
    runner.train()
    assert runner.train_dataloader.dataset.epochs == [0, 1, 2]


def test_inner_datasets():
    first, second = ToyDataset(), ToyDataset()
    inside = Subset(second, [0, 1])
    outer = ConcatDataset([first, inside])
    assert list(inner_datasets(outer)) == [outer, first, inside, second]


def test_seed_is_a_function_of_seed_and_epoch(tmp_path):
    """It tells the head the epoch, too."""
    told = []

    class Fake:
        seed, epoch, train_dataloader = 3, 5, torch.utils.data.DataLoader([1])
        model = SimpleNamespace(head=SimpleNamespace(set_epoch=told.append))

    def draw(seed, epoch):
        Fake.seed, Fake.epoch = seed, epoch
        EpochSeedHook().before_train_epoch(Fake)
        return torch.rand(4).tolist()

    first = draw(3, 5)
    torch.rand(17)
    assert draw(3, 5) == first
    assert draw(3, 6) != first and draw(4, 5) != first
    assert told == [5, 5, 6, 5]


def test_nan_loss_stops_before_the_step(tmp_path):
    runner = runner_of(tmp_path, poison=8)  # three iterations an epoch
    seen = {}

    def remember(self, runner, batch_idx, data_batch=None):
        seen['before'] = runner.model.visual_prompt.detach().clone()

    runner.register_hook(hook(before_train_iter=remember))
    message = (
        r'iteration 8 \(epoch 3\): .*nan, learning rate 0.1, 0.0.*epoch_2.pth'
        r'.*optim_wrapper.optimizer.lr'
    )
    with pytest.raises(FloatingPointError, match=message):
        runner.train()
    assert torch.equal(runner.model.visual_prompt, seen['before'])
    assert torch.isfinite(runner.model.visual_prompt).all()
    assert latest_checkpoint(str(tmp_path)) == str(tmp_path / 'epoch_2.pth')


def test_nan_loss_without_gradient(tmp_path):
    """As with a loss scaler, which skips the step."""
    runner = runner_of(tmp_path)

    def spoil(self, runner, batch_idx, data_batch=None, outputs=None):
        outputs.update(loss_x=torch.tensor(float('inf')))

    runner.register_hook(hook('VERY_HIGH', after_train_iter=spoil))
    with pytest.raises(FloatingPointError, match='loss_x is inf.*No checkpoint was written yet'):
        runner.train()


def test_healthy_training_is_left_alone(tmp_path):
    runner = runner_of(tmp_path, epochs=2)
    runner.train()
    assert runner.epoch == 2
    assert not runner.optim_wrapper.optimizer._optimizer_step_pre_hooks
