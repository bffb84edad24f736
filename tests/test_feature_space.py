"""Methods that learn from kept features: equal to plain NumPy, through the loop, refused."""

import json
import os.path as osp

import numpy as np
import pytest
import torch
from helpers import twin_features as twin
from helpers.kept import labelled, space
from helpers.matrix import METHODS, build
from helpers.tools import ROOT
from mmengine.config import Config

from mmdpt.engine import FeatureTrainLoop, read_checkpoint
from mmdpt.engine.cli import build_runner
from mmdpt.engine.hooks import EpochSeedHook
from mmdpt.models.heads.clap import RULES
from mmdpt.models.heads.feature_space import grid, percent
from mmdpt.models.heads.match import similarity
from mmdpt.models.heads.prolip import lambda_of


def made(method, **options):
    """A model and its feature space, in double precision."""
    head = {**METHODS[method]['head'], **options}
    model = build(method, 'small', 'fp64', head=head)
    return model, space(model)


def arrays(found):
    match = found.match
    return match.image.numpy(), found.labels.numpy(), match.text.detach().numpy()


def close(ours, theirs):
    ours = ours.detach().numpy() if isinstance(ours, torch.Tensor) else ours
    np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-11)


def test_gda():
    """With fewer images (16) than feature values (32): shrunk, it has an inverse."""
    model, kept = made('gda')
    rows, labels, _ = arrays(kept.support)
    model.head.fit(kept)
    _, _, weight, bias = twin.gda(rows, labels, 4)
    assert len(rows) < rows.shape[1]
    close(model.head.weight, weight)
    close(model.head.bias, bias)
    query = labelled(model, 5, seed=2).match
    gaussian = twin.unit(query.image.numpy()) @ weight.T + bias
    zero_shot = float(model.scale) * twin.unit(query.image.numpy()) @ query.text.numpy().T
    close(model.head(query), zero_shot + 0.1 * gaussian)


def test_gda_search_takes_the_first_of_the_best():
    model, kept = made('gda')
    model.head.fit(kept)
    val = kept.val()
    found = model.head.search(val, [0.5, 2.0, 2.0, 1e-3])
    wanted = []
    for alpha in (0.5, 2.0, 2.0, 1e-3):
        model.head.alpha.fill_(alpha)
        hit = model.head(val.match).argmax(1) == val.labels
        wanted.append(100 * hit.double().mean().item())
    close(found.accuracy, wanted)
    model.head.search(val, [0.5, 2.0, 2.0, 1e-3])
    assert float(model.head.alpha) == [0.5, 2.0, 2.0, 1e-3][int(np.argmax(wanted))]


def test_gda_of_new_classes():
    """A checkpoint with the support's features gives a classifier of other names."""
    model, kept = made('gda_new')
    model.head.fit(kept)
    new = build('gda_new', 'small', 'fp64', classes=['a cow', 'a hen', 'a pig'], transfer=True)
    new.load_state_dict(model.state_dict())
    text = new.frozen_text_features()
    query = labelled(new, 3, classes=3).match
    logits = new.head(query)
    *_, weight, bias = twin.gda_new(arrays(kept.support)[0], text.numpy(), 4, 16)
    close(new.head.weight, weight)
    close(new.head.bias, bias)
    assert logits.shape == (3, 3)
    with pytest.raises(ValueError, match='room for 16 features, but the training set has 24'):
        model.head.fit(space(model, 12))


def test_gda_without_its_images_is_bound_to_its_classes():
    model, kept = made('gda')
    model.head.fit(kept)
    new = build('gda', 'small', 'fp64', classes=['x', 'y'], transfer=True)
    with pytest.raises(ValueError, match='train with model.head.num_support=IMAGES'):
        new.load_state_dict(model.state_dict())


@pytest.mark.parametrize('period', [1, 3])
def test_lppp(period):
    model, kept = made('lppp')
    rows, labels, text = arrays(kept.support)
    bias = model.head.bias.detach().clone().numpy()
    rates = model.head.start(kept.support)
    for _ in model.head.descend(kept.support, rates, 7, period, 0.9):
        pass
    *_, end = twin.lppp(rows, labels, text, bias, 7, period, 0.9)
    for name in ('weight', 'bias', 'alpha'):
        close(getattr(model.head, name), end[name])


def test_lppp_keeps_the_last_of_the_best_epochs():
    model, kept = made('lppp')
    start = model.head.bias.detach().clone()
    found = model.head.fit(kept, epochs=12, period=4)
    best = int(found.values['epoch'])
    scores = found.accuracy.tolist()
    assert len(scores) == 12 and scores[best - 1] == max(scores) > max([*scores[best:], -1])
    again, _ = made('lppp')
    with torch.no_grad():
        again.head.bias.copy_(start)
    again.head.fit(kept, epochs=12, period=4)
    assert torch.equal(again.head.weight, model.head.weight)


@pytest.mark.parametrize('adaptive', [False, True])
def test_clap(adaptive):
    model, kept = made('clap', adaptive=adaptive)
    rows, labels, _ = arrays(kept.support)
    head, text = model.head, kept.templates().mean(0)
    head.fit(kept)
    learnt = torch.optim.SGD([head.prototypes], lr=0.1, momentum=0.9)
    for _ in range(4):
        loss = sum(w * v for w, v in head.terms(kept.support.match, kept.support.labels).values())
        learnt.zero_grad()
        loss.backward()
        learnt.step()
        head.end_epoch()
    given = rows, labels, text.numpy(), float(model.scale)
    start, plan = twin.clap_multipliers(*given), 4 * [(0.1, [slice(None)])]
    *_, end = twin.clap(*given, plan, 0.9, start, adaptive)
    close(head.prototypes, end['prototypes'])
    close(head.multipliers, end['multipliers'])


def test_rules_of_the_multipliers():
    means = torch.tensor([0.2, 0.5, 0.3, 0.6], dtype=torch.float64)
    close(RULES['l2'](means), means)
    close(RULES['corrected'](means), means * 4 / 1.6)
    close(RULES['constant'](means), [0.4] * 4)
    close(RULES['balanced'](means), [1.0] * 4)
    with pytest.raises(ValueError, match="multipliers must be one of l2, .*, but is 'l1'"):
        made('clap', multipliers='l1')


def test_cross_modal_pool():
    """Half of the rows are filled templates; an epoch draws as many as there are images' rows."""
    model, kept = made('crossmodal_lp')
    extra = model.head.extra_rows(kept, torch.Generator().manual_seed(0))
    texts = kept.templates()[0]
    assert len(extra.labels) == len(kept.support.labels)
    for row, label in zip(extra.match.image, extra.labels):
        assert torch.equal(row, texts[label])
    order = model.head.order(32, torch.Generator().manual_seed(0))
    assert len(order) == 16 and order.max() < 32 and len(set(order.tolist())) < 16


def test_prolip():
    model, kept = made('prolip')
    match, labels = kept.support
    views = match.pooled.view(2, 8, -1).numpy()
    start = model.backbone.proj.detach().clone().numpy()
    model.head.fit(kept, epochs=5, lr=1e-3, penalty='1/shots')
    *_, end = twin.prolip(
        views, labels.numpy()[:8], match.text.numpy(), start, float(model.scale), 5, 1e-3, 0.5
    )
    wanted = end['proj']
    close(model.head.proj, wanted)
    assert np.abs(wanted - start).max() > 1e-4
    assert lambda_of('1/shots^2', 4) == 1 / 16 and lambda_of(0.3, 4) == 0.3


def test_prolip_search_trains_again_from_the_start():
    model, kept = made('prolip')
    found = model.head.fit(kept, epochs=3, lr=[1e-1, 1e-3], penalty=[10.0, 0.0])
    chosen = model.head.proj.detach().clone()
    model.head.fit(kept, epochs=3, lr=found.values['lr'], penalty=found.values['penalty'])
    assert torch.equal(chosen, model.head.proj) and found.accuracy.shape == (2, 2)
    with pytest.raises(ValueError, match="penalty must be a number or one of .*, but is '2/shots'"):
        model.head.fit(kept, penalty='2/shots')


def test_prolip_is_taken_over_by_other_classes():
    model, kept = made('prolip')
    model.head.fit(kept, epochs=2)
    new = build('prolip', 'small', 'fp64', classes=['x', 'y'], transfer=True)
    new.load_state_dict(model.state_dict())
    assert torch.equal(new.head.proj, model.head.proj)


def test_ape():
    model, kept = made('ape')
    rows, labels, text = arrays(kept.support)
    model.head.fit(kept)
    query = labelled(model, 5, seed=2).match
    head, scale = model.head, float(model.scale)
    views, setting = rows.reshape(2, 8, -1), (1.0, 1.0, 0.1)
    keys, _, _, channels = twin.ape_space(views, labels[:8], text, 20, (0.7, 0.3))
    logits = twin.ape(keys, channels, labels[:8], text, query.image.numpy(), setting, scale)
    assert head.channels.tolist() == channels.tolist()
    close(head(query), logits)
    found = head.search(kept.val(), (3, 4, 1), (2, 3, 2))
    assert found.accuracy.shape == (2, 3, 2)
    val = kept.val()
    match, affinity = val.match, head.affinity(val.match.image)
    for i, beta in enumerate(grid(3, 2)):
        for j, alpha in enumerate(grid(4, 3)):
            for k, gamma in enumerate((0.0, 0.5)):
                cache = head.cache_logits(affinity, match.text, beta, gamma)
                logits = similarity(match.image, match.text, match.scale) + alpha * cache
                assert found.accuracy[i, j, k] == percent(logits, val.labels)
    hit = head(val.match).argmax(1) == val.labels
    assert found.accuracy.max() == 100 * hit.double().mean()


@pytest.mark.parametrize('method', ['lppp', 'zs_lp', 'clap', 'crossmodal_lp', 'ape'])
def test_bound_to_its_classes(method):
    model, _ = made(method)
    new = build(method, 'small', 'fp64', classes=['x', 'y'], transfer=True)
    with pytest.raises(ValueError, match='transfer=True cannot carry'):
        new.load_state_dict(model.state_dict())


def test_what_does_not_fit():
    with pytest.raises(ValueError, match=r"at least two classes, but classes has 1: \['x'\]"):
        build('lppp', 'small', 'fp64', classes=['x'])
    for parts in (
        dict(visual_prompt=dict(type='VPT', num_tokens=2)),
        dict(tuning=dict(type='LoRA')),
    ):
        with pytest.raises(ValueError, match='GDAHead works on kept features of the images, which'):
            build('gda', 'small', 'fp64', **parts)
    model, kept = made('gda')
    few = kept.support._replace(labels=kept.support.labels.clamp(max=2))
    with pytest.raises(ValueError, match='class 3 of 4 has no training image'):
        model.head.fit(kept._replace(support=few))
    model, _ = made('gda_new')
    with pytest.raises(ValueError, match='class 0 has 1 feature: its covariance needs two'):
        kept = space(
            build('gda_new', 'small', 'fp64', head=dict(type='GDAHead', num_support=4)), 4, 1
        )
        build('gda_new', 'small', 'fp64', head=dict(type='GDAHead', num_support=4)).head.fit(kept)


COOP = 'coop/coop_tiny_digits_16shot.py'
GDA = 'gda/gda_tiny_digits_16shot.py'


def config(file, work_dir, **options):
    cfg = Config.fromfile(osp.join(ROOT, 'configs', file))
    cfg.merge_from_dict(
        {
            'work_dir': str(work_dir),
            'log_level': 'ERROR',
            'experiment_name': str(work_dir).replace('/', '_'),
            'model.precision': 'fp64',
            'train_dataloader.dataset.shots': 2,
            'train_dataloader.batch_size': 8,
            'test_dataloader.dataset.indices': 20,
            'val_dataloader.dataset.indices': 20,
            **options,
        }
    )
    if cfg.test_cfg.get('cache_dir'):
        cfg.test_cfg.cache_dir = f'{work_dir}/features'
    return cfg


def trained(file, work_dir, **options):
    runner = build_runner(config(file, work_dir, **options))
    runner.train()
    return runner


@pytest.mark.parametrize(
    'file, options',
    [
        (COOP, {}),
        ('cocoop/cocoop_tiny_digits_16shot.py', {}),
        ('kgcoop/kgcoop_tiny_digits_16shot.py', {}),
        ('prograd/prograd_tiny_digits_16shot.py', {}),
        ('clip_adapter/clip_adapter_tiny_digits_16shot.py', {}),
    ],
)
def test_epochs_of_views_are_the_training_itself(file, options, tmp_path):
    """Same batches, same augmentation, same steps: the features are computed in
    other batches, so the last bits differ."""
    short = {'train_cfg.max_epochs': 3, **options}
    stock = trained(file, tmp_path / 'stock', **short).model.state_dict()
    kept = trained(
        file, tmp_path / 'kept', **{**short, 'train_cfg.type': 'FeatureTrainLoop'}
    ).model.state_dict()
    start = build_runner(config(file, tmp_path / 'start')).model.state_dict()
    for name, value in stock.items():
        torch.testing.assert_close(kept[name], value, rtol=1e-8, atol=1e-10)
        assert (value - start[name]).abs().max() > 1e-6


def test_towers_see_each_view_once_and_the_result_names_them(tmp_path, monkeypatch):
    seen = []
    runner = build_runner(
        config(
            COOP,
            tmp_path,
            **{
                'train_cfg.type': 'FeatureTrainLoop',
                'train_cfg.views': 2,
                'train_cfg.max_epochs': 5,
            },
        )
    )
    below = runner.model.clip_features
    monkeypatch.setattr(
        runner.model,
        'clip_features',
        lambda inputs, pooled=False: seen.append(len(inputs)) or below(inputs, pooled),
    )
    runner.train()
    assert sum(seen) == 2 * 20  # 2 shots of 10 digits
    assert json.loads((tmp_path / 'results.json').read_text())['views'] == 2


def test_fitted_methods_take_no_step(tmp_path):
    runner = trained(GDA, tmp_path, **{'train_cfg.views': 2, 'train_cfg.max_epochs': 7})
    assert runner.iter == 0 and runner.epoch == 1
    state = read_checkpoint(str(tmp_path / 'epoch_1.pth'))['state_dict']
    assert state['head.weight'].abs().max() > 0 and state['head.support'].shape == (0, 128)


def test_views_are_those_of_the_epochs(tmp_path):
    """View v is what the training sees in epoch v."""
    cfg = config(COOP, tmp_path, **{'train_cfg.type': 'FeatureTrainLoop'})
    runner = build_runner(cfg)
    runner._train_loop = runner.build_train_loop(runner._train_loop)
    loop = runner.train_loop
    assert isinstance(loop, FeatureTrainLoop)
    kept = loop._prepare()
    runner._train_loop._epoch = 1
    EpochSeedHook().before_train_epoch(runner)
    dataset = runner.train_dataloader.dataset
    batch = runner.model.data_preprocessor(
        dict(inputs=torch.stack([dataset[i]['inputs'] for i in range(3)])), False
    )
    with torch.no_grad():
        wanted = runner.model.clip_features(batch['inputs'])
    torch.testing.assert_close(kept.view(1)[:3], wanted, rtol=1e-9, atol=1e-9)
    assert (kept.view(0)[:3] - wanted).abs().max() > 1e-3


@pytest.mark.parametrize(
    'file, options, message',
    [
        ('vpt/vpt_tiny_digits_16shot.py', {}, 'image features depend on what is learnt'),
        (GDA, {'train_cfg.fit': dict(epochs=3)}, 'GDAHead has no epochs; it has none'),
        (GDA, {'train_cfg.search': dict(alpha=[1])}, 'GDAHead has no alpha; it has alphas'),
        (GDA, {'train_cfg.views': 0}, 'views must be at least 1'),
        (GDA, {'train_cfg.val': 'test'}, "val must be one of few, whole, but is 'test'"),
        (COOP, {'train_cfg.search': dict()}, 'neither fits nor searches nor draws'),
        (
            COOP,
            {'train_cfg.pool': True},
            "pool=True needs a number of views, but views is 'epochs'",
        ),
    ],
)
def test_wrong_combinations(file, options, message, tmp_path):
    cfg = config(file, tmp_path, **{'train_cfg.type': 'FeatureTrainLoop', **options})
    with pytest.raises((ValueError, TypeError), match=message):
        build_runner(cfg).train()


@pytest.mark.parametrize(
    'method, options, message',
    [
        (
            'gda',
            {'search.alphas': []},
            r'train_cfg.search.alphas must be a list such as \[0.1, 1.0',
        ),
        ('gda', {'search.alphas': 1}, 'train_cfg.search.alphas must be a list'),
        ('gda', {'search.alphas': [0.1, -1]}, 'alphas must be a number of at least 0, but is -1'),
        (
            'gda',
            {'views': 1},
            'each class has a single feature: give it more photos, or more views',
        ),
        ('lppp', {'fit.period': 0}, 'train_cfg.fit.period must be at least 1, got 0'),
        ('lppp', {'fit.epochs': 0}, 'train_cfg.fit.epochs must be at least 1, got 0'),
        ('lppp', {'fit.momentum': -1}, 'train_cfg.fit.momentum must be a number of at least 0'),
        ('prolip', {'fit.lr': []}, 'train_cfg.fit.lr must be a list'),
        ('prolip', {'fit.lr': -1}, 'train_cfg.fit.lr must be a number of at least 0'),
        ('prolip', {'fit.penalty': '1/shot'}, 'penalty must be a number or one of 1/shots'),
        (
            'ape',
            {'search': dict(_delete_=True, steps=[9, 9])},
            'train_cfg.search.steps must have 3 values, not 2',
        ),
        (
            'ape',
            {'search': dict(_delete_=True, steps=[9, 0, 9])},
            'train_cfg.search.steps must be at least 1',
        ),
        ('tip_adapter', {}, 'has room for 160 images, but the training set has 10'),
        ('linear_probe', {'fit.rounds': 0}, 'train_cfg.fit.rounds must be at least 1'),
    ],
)
def test_refused_before_any_image_is_looked_at(method, options, message, tmp_path):
    options = {f'train_cfg.{name}': value for name, value in options.items()}
    options['train_dataloader.dataset.shots'] = 1
    if method == 'ape':
        options['model.head.num_keys'] = 10
    runner = build_runner(config(f'{method}/{method}_tiny_digits_16shot.py', tmp_path, **options))
    with pytest.raises((ValueError, TypeError), match=message):
        runner.build_train_loop(runner._train_loop)


@pytest.mark.parametrize('method', ['gda', 'lppp', 'linear_probe'])
def test_a_closed_val_list_is_missed_at_the_start(method, tmp_path):
    options = {'dataset.protocol': dict(validation=False)}
    runner = build_runner(config(f'{method}/{method}_tiny_digits_16shot.py', tmp_path, **options))
    with pytest.raises(ValueError, match='the val list stays closed'):
        runner.build_train_loop(runner._train_loop)


def test_validation_images_are_not_those_of_the_test(tmp_path):
    cfg = config(GDA, tmp_path)
    cfg.train_dataloader.dataset.seed = 1
    runner = build_runner(cfg)
    runner._train_loop = runner.build_train_loop(runner._train_loop)
    kept = runner.train_loop._prepare()
    kept.val = 'whole'
    whole = len(kept.validation().labels)
    kept.val = 'few'
    assert len(kept.validation().labels) == 20 < whole
