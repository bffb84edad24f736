"""The optimizer constructor: learnt tensors only, grouped by options."""

import logging

import pytest
from helpers.engine_toy import ToyPrompted
from mmengine.logging import MMLogger
from mmengine.optim import build_optim_wrapper
from torch import nn

OPTIMIZER = dict(type='SGD', lr=0.01, momentum=0.9, weight_decay=5e-4)


class Kept(logging.Handler):
    """Keeps the messages."""

    def __init__(self):
        super().__init__(logging.WARNING)
        self.messages = []

    def emit(self, record):
        self.messages.append(record.getMessage())


@pytest.fixture
def warnings():
    """The warnings that the constructors log."""
    logger, kept = MMLogger.get_current_instance(), Kept()
    logger.addHandler(kept)
    yield kept.messages
    logger.removeHandler(kept)


def build(model, **paramwise):
    """An optimizer wrapper from a config."""
    return build_optim_wrapper(
        model,
        dict(
            constructor='mmpretrain.PromptOptimWrapperConstructor',
            optimizer=OPTIMIZER,
            paramwise_cfg=paramwise,
        ),
    )


def test_groups_hold_the_learnt_tensors(warnings):
    model = ToyPrompted()
    keys = {'text_prompt': dict(lr_mult=0.2, warmup_epochs=1)}
    groups = build(model, custom_keys=keys).optimizer.param_groups
    assert warnings == []
    build_optim_wrapper(model, dict(optimizer=OPTIMIZER, paramwise_cfg=dict(custom_keys=keys)))
    assert warnings  # the stock constructor warns for every frozen tensor
    by_warmup = {group.get('warmup_epochs'): group for group in groups}
    assert set(by_warmup) == {None, 1} and len(groups) == 2
    text = list(model.text_prompt.parameters())
    assert [id(p) for p in by_warmup[1]['params']] == [id(p) for p in text]
    assert [id(p) for p in by_warmup[None]['params']] == [id(model.visual_prompt)]
    assert by_warmup[1]['lr'] == 0.01 * 0.2 and by_warmup[None]['lr'] == 0.01
    assert all(g['weight_decay'] == 5e-4 and g['momentum'] == 0.9 for g in groups)


def test_no_paramwise_is_one_group_without_frozen():
    model = ToyPrompted()
    (group,) = build(model).param_groups
    assert {id(p) for p in group['params']} == {
        id(p) for p in model.parameters() if p.requires_grad
    }


def test_stock_options_still_work():
    model = nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2))
    groups = build(model, norm_decay_mult=0.0).param_groups
    decays = {id(p): g['weight_decay'] for g in groups for p in g['params']}
    assert decays[id(model[1].weight)] == 0.0 and decays[id(model[0].weight)] == 5e-4


def test_nothing_to_train():
    with pytest.raises(ValueError, match='nothing to train.*tools/test.py'):
        build(nn.Linear(2, 2).requires_grad_(False))


def test_unused_key_is_refused():
    with pytest.raises(ValueError, match="'text_promt' matches no learnt .*mean text_prompt"):
        build(ToyPrompted(), custom_keys={'text_promt': dict(lr_mult=2.0)})
    with pytest.raises(ValueError, match="'xyz' matches no learnt .*learnt are visual_prompt, "):
        build(ToyPrompted(), custom_keys={'xyz': dict(lr_mult=2.0)})
