"""Training on kept states is the stock training."""

import pytest
import torch
from helpers.short_runs import Recorder, short_config, train
from mmengine.hooks import Hook

from mmdpt.models.clip.image_tower import ImageTower


def config(folder, **options):
    return short_config(
        'skiptuning',
        folder,
        model__precision='fp64',
        train_dataloader__batch_size=2,
        train_dataloader__dataset__shots=5,
        **options,
    )


def learnt(runner):
    return {n: t.clone() for n, t in runner.model.state_dict().items()}


class Losses(Recorder):
    """The losses of every step."""

    def __init__(self):
        super().__init__(None)

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.found.append(outputs['loss'].item())


@pytest.fixture(scope='module')
def stock(tmp_path_factory):
    """MMEngine's own loop: losses, and what was learnt."""
    losses, cfg = Losses(), config(tmp_path_factory.mktemp('stock'))
    cfg.train_cfg = dict(by_epoch=True, max_epochs=2, val_interval=1000000)
    runner = train(cfg, losses)
    return losses.found, learnt(runner)


@pytest.mark.parametrize('images', [1, 7, 128])
def test_equals_the_stock_loop(images, tmp_path, stock):
    losses = Losses()
    runner = train(config(tmp_path, train_cfg__images_at_once=images), losses)
    assert len(losses.found) == 2 * 10 * 2  # two batches of each of ten classes an epoch
    assert losses.found == pytest.approx(stock[0], rel=1e-9)
    for name, tensor in learnt(runner).items():
        torch.testing.assert_close(tensor, stock[1][name], rtol=1e-9, atol=1e-11)


class Calls(Hook):
    """How many images each call of the tower's lower part had."""

    def before_train(self, runner):
        tower = runner.model.backbone
        original = tower.below
        self.found = []

        def below(tokens, depth):
            self.found.append((len(tokens), depth, torch.is_grad_enabled()))
            return original(tokens, depth)

        tower.below = below

    def after_train(self, runner):
        del runner.model.backbone.below


def test_the_lower_blocks_run_on_many_images_once(tmp_path):
    """Every image of an epoch passes once, at most 11 together, without a gradient."""
    calls = Calls()
    train(config(tmp_path, train_cfg__images_at_once=10), calls)
    assert calls.found == [(10, 1, False)] * 8


def test_states_are_what_enters_the_first_learnt_block(tmp_path):
    runner = train(config(tmp_path, train_cfg__max_epochs=1))
    model, images = runner.model.train(), torch.randn(3, 3, 32, 32)
    states = model.states(images)
    assert states.shape[0] == 3 and not states.requires_grad
    assert isinstance(model.backbone, ImageTower)
    torch.testing.assert_close(model.match(states).image, model.match(images).image)
    with model.tuning.off():
        torch.testing.assert_close(model.match(states).image, model.clip_features(images))


@pytest.mark.parametrize(
    'method, options, message',
    [
        ('coop', {}, 'learns in none, or from the first on'),
        ('vpt', {}, 'learns in none, or from the first on'),
        ('skiptuning', dict(model__tuning__first=0), 'learns in none, or from the first on'),
        ('skiptuning', dict(train_cfg__images_at_once=0), 'images_at_once must be at least 1'),
    ],
)
def test_other_models_are_refused(method, options, message, tmp_path):
    cfg = short_config(method, tmp_path, **options)
    cfg.train_cfg = dict(cfg.train_cfg, type='KeptStatesTrainLoop')
    cfg.train_cfg.pop('by_epoch', None)
    if method == 'skiptuning':
        cfg.train_dataloader.batch_size = 2
    with pytest.raises(ValueError, match=message):
        train(cfg)


@pytest.mark.parametrize('method', ['mmrl', 'clip_lora'])
def test_it_serves_other_methods_that_learn_in_upper_blocks(method, tmp_path):
    """MMRL reads frozen features, too: they come from the same states."""
    options = dict(model__tuning__blocks=dict(image=[2, 3])) if method == 'clip_lora' else {}
    results = []
    for kind in ('stock', 'kept'):
        cfg = short_config(method, tmp_path / kind, model__precision='fp64', **options)
        if kind == 'kept':
            cfg.train_cfg = dict(type='KeptStatesTrainLoop', max_epochs=2, val_interval=100)
        losses = Losses()
        train(cfg, losses)
        results.append(losses.found)
    assert results[1] == pytest.approx(results[0], rel=1e-9) and len(results[0]) == 4
