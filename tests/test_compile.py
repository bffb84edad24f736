"""torch.compile works with prompts: same loss and gradients."""

import shutil

import pytest
import torch
from helpers.classifier import build, samples


@pytest.mark.slow
@pytest.mark.skipif(shutil.which('g++') is None, reason='torch.compile needs a C++ compiler')
@pytest.mark.parametrize('method', ['coop', 'dpt'])
def test_compiled_forward_pass(method):
    torch.manual_seed(1)
    images = torch.randn(5, 3, 32, 32)
    model = build(method).train()
    model.head.set_epoch(0)
    results = []
    for compiled in (False, True):
        if compiled:
            model.match = torch.compile(model.match)
        model.zero_grad()
        total, _ = model.parse_losses(model.loss(images, samples()))
        total.backward()
        results.append(
            [total.detach()] + [p.grad.clone() for p in model.parameters() if p.grad is not None]
        )
    for plain, fast in zip(*results):
        torch.testing.assert_close(fast, plain, rtol=1e-7, atol=1e-9)
