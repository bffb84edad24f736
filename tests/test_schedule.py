"""The learning-rate schedule against the golden numbers."""

import json
import math
import os.path as osp

import pytest
import torch
from mmpretrain.registry import PARAM_SCHEDULERS

from mmdpt.engine import ConstantWarmupCosineLR, constant_warmup_cosine

with open(osp.join(osp.dirname(__file__), 'data', 'golden', 'lr_schedule.json')) as file:
    GOLDEN = json.load(file)
SETTINGS = GOLDEN['runs'] + GOLDEN['other_settings']


def optimizer(*groups):
    """SGD with one parameter a group."""
    return torch.optim.SGD(
        [dict(params=[torch.zeros(1, requires_grad=True)], **g) for g in groups], lr=0.01
    )


def rates(opt, scheduler, epochs):
    """The rates of group 0 in the given number of epochs."""
    seen = []
    for _ in range(epochs):
        seen.append(opt.param_groups[0]['lr'])
        opt.step()
        scheduler.step()
    return seen


@pytest.mark.parametrize('setting', SETTINGS)
def test_scheduler_equals_golden(setting):
    opt = optimizer(dict(lr=setting['lr']))
    scheduler = PARAM_SCHEDULERS.build(
        dict(
            type='ConstantWarmupCosineLR',
            warmup_epochs=setting['warmup_epochs'],
            warmup_lr=setting['warmup_constant_lr'],
            warmup_recount=setting['warmup_recount'],
            end=setting['epochs'],
        ),
        default_args=dict(optimizer=opt, epoch_length=5),
    )
    assert rates(opt, scheduler, setting['epochs']) == pytest.approx(
        setting['per_epoch_lr'], rel=1e-12, abs=1e-18
    )
    after = constant_warmup_cosine(
        setting['epochs'],
        setting['lr'],
        setting['epochs'],
        setting['warmup_epochs'],
        setting['warmup_constant_lr'],
        setting['warmup_recount'],
    )
    assert after == pytest.approx(setting['lr_after_last_epoch'], rel=1e-12, abs=1e-17)


def test_group_has_its_own_warmup_and_base():
    opt = optimizer(dict(lr=0.01), dict(lr=0.002, warmup_epochs=1), dict(lr=0.5, warmup_epochs=0))
    scheduler = ConstantWarmupCosineLR(opt, warmup_epochs=10, end=60)
    assert [g['lr'] for g in opt.param_groups] == [1e-5, 1e-5, 0.5]
    opt.step()
    scheduler.step()
    assert opt.param_groups[0]['lr'] == 1e-5
    assert opt.param_groups[1]['lr'] == 0.002
    assert opt.param_groups[2]['lr'] == pytest.approx(0.25 * (1 + math.cos(math.pi / 60)))


def test_state_goes_on_exactly():
    whole, half = optimizer({}), optimizer({})
    scheduler = ConstantWarmupCosineLR(whole, warmup_epochs=3, end=20)
    wanted = rates(whole, scheduler, 20)
    first = ConstantWarmupCosineLR(half, warmup_epochs=3, end=20)
    rates(half, first, 9)
    resumed = optimizer({})
    second = ConstantWarmupCosineLR(resumed, warmup_epochs=3, end=20)
    resumed.load_state_dict(half.state_dict())
    second.load_state_dict(first.state_dict())
    assert rates(resumed, second, 11) == wanted[9:]


@pytest.mark.parametrize('change', [dict(end=30), dict(warmup_epochs=4), dict(warmup_lr=1e-4)])
def test_state_of_another_schedule_is_refused(change):
    settings = dict(warmup_epochs=3, end=20)
    state = ConstantWarmupCosineLR(optimizer({}), **settings).state_dict()
    scheduler = ConstantWarmupCosineLR(optimizer({}), **{**settings, **change})
    with pytest.raises(ValueError, match=f'{next(iter(change))}=.*load_from'):
        scheduler.load_state_dict(state)


@pytest.mark.parametrize(
    'bad, names',
    [
        (dict(), 'end='),
        (dict(end=5, by_epoch=False), 'by_epoch'),
        (dict(end=5, warmup_lr=-1.0), 'warmup_lr'),
    ],
)
def test_bad_settings(bad, names):
    with pytest.raises(ValueError, match=names):
        ConstantWarmupCosineLR(optimizer({}), **bad)
