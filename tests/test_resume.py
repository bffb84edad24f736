"""A resumed training ends as one without a break, bit for bit: every method."""

import copy
import shutil

import pytest
import torch
from helpers.kill_and_resume import (
    ALSO,
    FITTED,
    METHODS,
    config_of,
    differences,
    options_of,
    parts,
    run,
)
from mmengine.config import Config, DictAction

from mmdpt.cli.train import allow_changes
from mmdpt.engine import read_checkpoint
from mmdpt.engine.cli import build_runner

EPOCHS, BREAK = 4, 2
QUICK = 'clap'  # killed in every test run: kept features, an order of its own, multipliers
TINY = [
    'train_dataloader.dataset.shots=2',
    'test_dataloader.dataset.indices=20',
    'val_dataloader.dataset.indices=20',
]


@pytest.fixture(scope='module', autouse=True)
def quick():
    """Read the built-in CLIP once (each model gets a copy); no list of the
    computer's parts in the log."""
    from mmengine.runner import runner

    from mmdpt.models import classifier

    collect = runner.collect_env
    runner.collect_env = dict
    load, found = classifier.load_clip, {}

    def load_once(*args):
        key = repr(args)
        if key not in found:
            found[key] = load(*args)
        return copy.deepcopy(found[key])

    classifier.load_clip = load_once
    yield
    classifier.load_clip, runner.collect_env = load, collect


def train(method, work_dir, resume=None, without=None):
    """Trains a method on the built-in example, with its augmentation."""
    cfg = Config.fromfile(config_of(method))
    options = options_of(method, EPOCHS)
    own = [o for o in ALSO.get(method, []) if o.startswith('train_dataloader.dataset')]
    options = [o.replace('num_keys=40', 'num_keys=20') for o in [*options, *TINY, *own]]
    cfg.merge_from_dict(
        {
            key: DictAction._parse_iterable(value)
            for key, value in (o.split('=', 1) for o in options)
        }
    )
    if method == 'dpt':
        cfg.model.head.guided_epochs = BREAK + 1
    cfg.default_hooks.pop(without, None)
    cfg.default_hooks.checkpoint.max_keep_ckpts = -1
    cfg.work_dir, cfg.log_level = str(work_dir), 'ERROR'
    cfg.experiment_name = str(work_dir) + str(bool(resume))
    if resume:
        cfg.resume, cfg.load_from = True, str(resume)
    runner = build_runner(cfg)
    if without:  # another setting
        allow_changes(runner)
    runner.train()
    return runner


def learnt(path):
    return read_checkpoint(str(path))['state_dict']


@pytest.mark.parametrize('method', METHODS)
def test_resumed_equals_unbroken(method, tmp_path):
    """Parameters, optimizer, schedule, sums, cache, and the test's figures."""
    whole, broken = tmp_path / 'whole', tmp_path / 'broken'
    train(method, whole)
    if method in FITTED:  # its one epoch is the last
        middle = last = whole / 'epoch_1.pth'
    else:
        middle, last = whole / f'epoch_{BREAK}.pth', whole / f'epoch_{EPOCHS}.pth'
        assert differences(learnt(middle), learnt(last))
    torch.rand(7)  # the next process has drawn other numbers
    train(method, broken, middle)
    if method in FITTED:
        shutil.copy(last, broken)  # nothing was left to train
    assert differences(parts(str(whole)), parts(str(broken))) == []


def test_the_comparison_sees_other_randomness(tmp_path):
    """Resumed without the seeds of the epochs, the augmentation differs."""
    train('coop', tmp_path / 'whole')
    train(
        'coop', tmp_path / 'broken', tmp_path / 'whole' / f'epoch_{BREAK}.pth', without='epoch_seed'
    )
    found = differences(parts(str(tmp_path / 'whole')), parts(str(tmp_path / 'broken')))
    assert any('context' in place for place in found)


def test_killed_after_the_last_checkpoint(tmp_path):
    """The test and results.json are made up for; nothing is trained again."""
    train('coop', tmp_path / 'whole')
    last = tmp_path / 'whole' / f'epoch_{EPOCHS}.pth'
    before = last.read_bytes()
    wanted = parts(str(tmp_path / 'whole'))
    (tmp_path / 'whole' / 'results.json').unlink()
    train('coop', tmp_path / 'whole', last)
    assert differences(parts(str(tmp_path / 'whole')), wanted) == [] and last.read_bytes() == before


@pytest.mark.parametrize(
    'method', [m if m == QUICK else pytest.param(m, marks=pytest.mark.slow) for m in METHODS]
)
def test_killed_twice(method, tmp_path):
    """SIGKILL to tools/train.py at random moments."""
    found = run(method, str(tmp_path), kills=2)
    assert found['differences'] == [] and len(found['killed']) == 2
