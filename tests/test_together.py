"""Runs trained together, as one batch in one process, beside the same runs by themselves."""

import json

import pytest
import torch
from helpers.short_runs import short_config, train

from mmdpt.engine import read_checkpoint
from mmdpt.engine.together import Plan, check_config_together, train_together
from mmdpt.models.stacked import check_stackable

# seed, shots, epochs: other images, other numbers of steps and of images in a batch
RUNS = dict(a=(1, 2, 3), b=(2, 2, 2), c=(3, 1, 3))
EXACT = dict(rtol=0, atol=1e-9)


def config(method, folder, seed=1, shots=2, epochs=2, **options):
    options = {
        'model__precision': 'fp64',
        'randomness__seed': seed,
        'train_dataloader__dataset__seed': seed,
        'train_dataloader__dataset__shots': shots,
        'train_dataloader__batch_size': 12,
        'train_dataloader__num_workers': 0,
        'train_dataloader__persistent_workers': False,
        'default_hooks__logger__interval': 1,
        **options,
    }
    cfg = short_config(method, folder, epochs, **options)
    if 'guided_epochs' in cfg.model.head:
        cfg.model.head.guided_epochs = 1
    return cfg


def together(configs):
    plans = [Plan(name, lambda cfg=cfg: cfg) for name, cfg in configs.items()]
    outcomes = train_together(plans)
    for error in outcomes.values():
        if error is not None:
            raise error


def curve(folder):
    """The losses of each step."""
    (path,) = folder.glob('*/vis_data/scalars.json')
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return [{k: v for k, v in line.items() if 'loss' in k or k == 'lr'} for line in lines]


def last(folder):
    return read_checkpoint((folder / 'last_checkpoint').read_text())


def assert_same_tree(a, b):
    if isinstance(a, torch.Tensor):
        torch.testing.assert_close(a, b, **EXACT)
    elif isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            assert_same_tree(a[key], b[key])
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b)
        for one, other in zip(a, b):
            assert_same_tree(one, other)
    else:
        assert a == (pytest.approx(b, abs=1e-9) if isinstance(a, float) else b)


@pytest.mark.parametrize('method', ['coop', 'kgcoop', 'vpt', 'dpt', 'vlp', 'cocoop', 'maple'])
def test_as_by_themselves(method, tmp_path):
    options = {} if method in ('coop', 'vpt', 'dpt') else dict(epochs=2)
    for name, (seed, shots, epochs) in RUNS.items():
        train(config(method, tmp_path / 'alone' / name, seed, shots, options.get('epochs', epochs)))
    together(
        {
            name: config(
                method, tmp_path / 'group' / name, seed, shots, options.get('epochs', epochs)
            )
            for name, (seed, shots, epochs) in RUNS.items()
        }
    )
    for name in RUNS:
        one, other = (tmp_path / kind / name for kind in ('alone', 'group'))
        assert_same_tree(curve(one), curve(other))
        saved = last(one), last(other)
        for key in ('state_dict', 'optimizer', 'param_schedulers'):
            assert_same_tree(saved[0][key], saved[1][key])
        assert saved[0]['meta']['epoch'] == saved[1]['meta']['epoch']
    a, b = (last(tmp_path / 'group' / name)['state_dict'] for name in 'ab')
    assert any(not torch.equal(a[key], b[key]) for key in a)
