from types import SimpleNamespace

import pytest
import torch

from mmdpt.engine import GaussianAggregationHook, gaussian_weights


def runner(epochs=4):
    return SimpleNamespace(model=torch.nn.Linear(2, 1), epoch=0, max_epochs=epochs)


def train(hook, run, start=0):
    hook.before_train(run)
    for epoch in range(start, run.max_epochs):
        run.epoch = epoch
        with torch.no_grad():
            run.model.weight.fill_(run.epoch + 1)
        hook.after_train_epoch(run)


def test_weights():
    weights = gaussian_weights(5, mean=3, deviation=1)
    assert sum(weights) == pytest.approx(1)
    assert weights == pytest.approx(weights[::-1])
    assert weights[2] / weights[1] == pytest.approx(2.718281828**0.5)


def test_the_sum_enters_after_the_last_epoch():
    run, weights = runner(), gaussian_weights(4, 2, 1)
    train(GaussianAggregationHook(mean=2, deviation=1), run)
    expected = sum(w * (e + 1) for e, w in enumerate(weights))
    torch.testing.assert_close(run.model.weight, torch.full((1, 2), expected))


def test_resumed_training_gives_the_same():
    whole, part, checkpoint = runner(), runner(), {}
    train(GaussianAggregationHook(2, 1), whole)
    first = GaussianAggregationHook(2, 1)
    first.before_train(part)
    for part.epoch in range(2):
        torch.nn.init.constant_(part.model.weight, part.epoch + 1)
        first.after_train_epoch(part)
    first.before_save_checkpoint(part, checkpoint)
    part._resume, second = True, GaussianAggregationHook(2, 1)
    second.after_load_checkpoint(part, checkpoint)
    train(second, part, start=2)
    torch.testing.assert_close(part.model.weight, whole.model.weight)
    with pytest.raises(ValueError, match='holds no sum'):
        second.after_load_checkpoint(part, {})


def test_bad_values():
    with pytest.raises(ValueError, match='deviation must be positive'):
        GaussianAggregationHook(mean=3, deviation=0)
    with pytest.raises(ValueError, match='vanish over 4 epochs'):
        GaussianAggregationHook(mean=1000, deviation=1).before_train(runner())
