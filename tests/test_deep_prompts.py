"""Prompts in several blocks, and the two that are coupled."""

import copy

import pytest
import torch
from helpers.classifier import build
from helpers.plain import CLASSES, about, small_clip

from mmdpt.models.clip.load import load_clip
from mmdpt.models.clip.text_tower import TextTower
from mmdpt.models.prompts.deep_coop import DeepCoOp


def test_tokens_are_nobody_elses():
    """MaPLe's visual prompt reads the text prompt's, also in a copy."""
    model = build('maple')
    names = set(model.state_dict())
    assert {'text_prompt.context', 'text_prompt.deep'} < names
    assert not any('_source' in n for n in names)
    other = copy.deepcopy(model)
    other.text_prompt.context.data.add_(1)
    assert (other.visual_prompt.layer(0) - model.visual_prompt.layer(0)).abs().max() > 1e-3


def test_deep_projections_start_alike():
    first, *deep = build(
        'maple', text_prompt=dict(type='DeepCoOp', num_tokens=2, num_layers=3)
    ).visual_prompt.projections
    assert torch.equal(deep[0].weight, deep[1].weight)
    assert not torch.equal(first.weight, deep[0].weight)


def test_one_layer_learns_the_context_only():
    tower = TextTower(load_clip(small_clip(), None))
    prompt = DeepCoOp(about(tower, CLASSES), num_layers=1, num_tokens=2)
    assert list(prompt.state_dict()) == ['context']
    assert prompt.at_block(1) is None


@pytest.mark.parametrize(
    'method, options, message',
    [
        (
            'maple',
            dict(text_prompt=dict(type='CoOp')),
            'projects the tokens of a DeepCoOp, but text_prompt is CoOp',
        ),
        ('maple', dict(text_prompt=None), 'but text_prompt is NoneType'),
        (
            'maple',
            dict(text_prompt=dict(type='DeepCoOp', num_layers=4)),
            'the text tower has 3 blocks',
        ),
        (
            'maple',
            dict(text_prompt=dict(type='DeepCoOp', num_layers=4, surplus=True)),
            'image tower has 3 blocks and the text tower 3: use at most 3',
        ),
        (
            'promptsrc',
            dict(visual_prompt=dict(type='VPT', num_layers=4)),
            'num_layers must be a whole number from 1 to 3',
        ),
        (
            'promptsrc',
            dict(text_prompt=dict(type='CoCoOp', num_tokens=2, reduction=8)),
            'PromptSRCHead needs text features that all images share',
        ),
        ('kgcoop', dict(text_prompt=None), 'KgCoOpHead guides learnt text'),
        ('kgcoop', dict(head=dict(type='KgCoOpHead', weight=-1)), 'weight must'),
        (
            'prograd',
            dict(head=dict(type='ProGradHead', temperature=0)),
            'temperature must not be 0',
        ),
        (
            'coop',
            dict(text_prompt=dict(type='CoOp', position='front', frozen_words='of a')),
            "position='front': use position='end'",
        ),
    ],
)
def test_what_does_not_fit(method, options, message):
    with pytest.raises(ValueError, match=message):
        build(method, **options)


def test_surplus_layers_act_through_the_projections():
    model = build(
        'maple',
        arch=small_clip_with_text(2),
        text_prompt=dict(type='DeepCoOp', num_tokens=2, num_layers=3, surplus=True),
    )
    loss = model(torch.randn(2, 3, 32, 32)).square().sum()
    (grad,) = torch.autograd.grad(loss, model.text_prompt.deep)
    assert (grad.abs().amax((1, 2)) > 0).all()


def test_surplus_layers_act_in_the_text_tower():
    """Their projections take part in every step, with a gradient of zero."""
    model = build(
        'maple',
        arch=small_clip_with_text(4),
        text_prompt=dict(type='DeepCoOp', num_tokens=2, num_layers=4),
    )
    assert len(model.visual_prompt.projections) == 4
    model(torch.randn(2, 3, 32, 32)).square().sum().backward()
    assert (model.text_prompt.deep.grad.abs().amax((1, 2)) > 0).all()
    *used, unused = [p.weight.grad.abs().max() for p in model.visual_prompt.projections]
    assert min(used) > 0 and unused == 0


def small_clip_with_text(layers):
    config = small_clip()
    config['text_cfg']['layers'] = layers
    return config
