"""Checkpoints that a training goes on from, changed: refused, or the same training.

What is learnt at the end equals, bit by bit, what the uninterrupted training learnt, if the change
touched nothing of parameters, optimizer, schedule, seed and position; else the training ends with
finite numbers. No file is lost but former checkpoints of the training, by their names.
"""

import os
import shutil
from pathlib import Path

import pytest
import torch
from helpers.engine_toy import toy_config
from helpers.fuzz import Quiet, fuzz, outcome
from helpers.mutate import any_junk, changed
from mmengine.runner import Runner

from mmdpt.engine import read_checkpoint

MINE = ('mine.pth', 'work/mine.txt', 'work/best_mine.pth')
number = iter(range(10**9))


def built(resume=None):
    cfg = toy_config('work', epochs=3, noise=0.3)
    cfg.default_hooks.checkpoint.max_keep_ckpts = 2
    cfg.experiment_name = f'resume {os.getcwd()} {next(number)}'
    cfg.log_level = 'CRITICAL'
    cfg.resume, cfg.load_from = bool(resume), resume
    return Runner.from_cfg(cfg)


def learnt_by(runner):
    runner.train()
    return {k: v.clone() for k, v in runner.model.state_dict().items()}


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """A folder with a training of three epochs; what it learnt."""
    folder, before = tmp_path_factory.mktemp('trained'), os.getcwd()
    os.chdir(folder)
    try:
        learnt = learnt_by(built())
        shutil.copytree('work', 'whole')
        assert all(
            torch.equal(v, learnt[k]) for k, v in learnt_by(built('whole/epoch_2.pth')).items()
        )
        yield Quiet(learnt)
    finally:
        os.chdir(before)


def shaping(content):
    """What of a checkpoint decides how a training goes on, as one text."""
    found = {k: content.get(k) for k in ('state_dict', 'optimizer', 'param_schedulers')}
    meta, hub = content['meta'], content['message_hub']['runtime_info']
    found['place'] = {k: meta.get(k) for k in ('epoch', 'iter', 'seed')}
    found['hub'] = {k: hub.get(k) for k in ('epoch', 'iter', 'max_epochs', 'max_iters')}
    torch.set_printoptions(precision=20, threshold=10**6)
    return repr(found)


@fuzz
def test_resuming(trained, rnd):
    shutil.rmtree('work')
    shutil.copytree('whole', 'work')
    for name in MINE:
        Path(name).write_text('mine')
    original = torch.load('whole/epoch_2.pth', weights_only=True)
    content = changed(original, rnd, any_junk)
    try:
        torch.save(content, 'evil.pth')
    except (TypeError, ValueError, RuntimeError, OverflowError, NotImplementedError):
        return  # nobody can write such a file
    runner = built('evil.pth')
    learnt, line = outcome(lambda: read_checkpoint('evil.pth') and learnt_by(runner), 'work')
    assert all(Path(name).read_text() == 'mine' for name in MINE)
    kept = {path.name for path in Path('work').glob('epoch_*.pth')}
    if line is not None:
        assert kept == {'epoch_2.pth', 'epoch_3.pth'}
        return
    assert 'epoch_3.pth' in kept and all(torch.isfinite(v).all() for v in learnt.values())
    if shaping(torch.load('evil.pth', weights_only=True)) == shaping(original):
        assert all(torch.equal(v, trained[k]) for k, v in learnt.items())
