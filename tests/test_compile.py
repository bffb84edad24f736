"""Compiled steps give the losses and gradients of plain ones."""

import shutil

import pytest
import torch
from helpers.classifier import build, samples
from torch._dynamo.utils import counters

from mmdpt.engine import compile_step

IMAGES = torch.randn(5, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def losses_and_gradients(model, images=IMAGES):
    model.zero_grad()
    total, logs = model.parse_losses(model.loss(images, samples(count=len(images))))
    total.backward()
    found = [p.grad.clone() for p in model.parameters() if p.grad is not None]
    return [value.detach().clone() for value in logs.values()] + found


def several_steps(model):
    """In both kinds of epochs, after an evaluation, and with a smaller last batch."""
    found = []
    for epoch in (0, 2, 3):
        model.train().head.set_epoch(epoch)
        found += losses_and_gradients(model)
        with torch.no_grad():
            model.eval().predict(IMAGES)
    model.train()
    return found + losses_and_gradients(model, IMAGES[:3])


def check(method, **options):
    plain = several_steps(build(method))
    model = build(method)
    torch._dynamo.reset()
    counters.clear()
    compile_step(model, **options)
    for fast, slow in zip(several_steps(model), plain, strict=True):
        torch.testing.assert_close(fast, slow, rtol=1e-9, atol=1e-9)
    assert not counters['graph_break']
    return counters['stats']['unique_graphs']


# DPT: guided, unguided, and unguided with a batch of another size
@pytest.mark.parametrize('method, graphs', [('coop', 2), ('vpt', 2), ('dpt', 3)])
def test_compiled_steps(method, graphs):
    """With torch.compile's own backward pass, and without its compiler."""
    assert check(method, backend='aot_eager') == graphs


@pytest.mark.slow
@pytest.mark.skipif(shutil.which('g++') is None, reason='torch.compile needs a C++ compiler')
@pytest.mark.parametrize('method', ['coop', 'vpt', 'dpt'])
def test_compiled_steps_with_the_compiler(method):
    check(method)


@pytest.mark.parametrize(
    'method, options, why',
    [
        ('skiptuning', {}, 'ClassSkippingHead chooses the classes of each step'),
        ('coprompt', {}, 'CoPromptHead needs a second view'),
        ('coop', dict(tuning=dict(type='LoRA', dropout=0.25)), 'dropout of model.tuning'),
    ],
)
def test_steps_that_are_no_function_of_tensors(method, options, why):
    with pytest.raises(ValueError, match=f'compile: .*{why}'):
        compile_step(build(method, **options))


def test_a_model_without_such_a_step():
    with pytest.raises(ValueError, match='compile: Linear has no step'):
        compile_step(torch.nn.Linear(1, 1))
