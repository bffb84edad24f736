"""Frozen layers by oneDNN, and attention of one query without keys and values."""

import pytest
import torch
import torch.nn.functional as F
from open_clip.transformer import QuickGELU, ResidualAttentionBlock

from mmdpt.models.clip.blocks import run_block
from mmdpt.models.clip.frozen_linear import FEWEST, frozen_linear


@pytest.mark.parametrize('shape', [(FEWEST, 24), (16, 17, 24), (FEWEST - 1, 24)])
@pytest.mark.parametrize('bias', [True, False])
def test_frozen_linear_is_linear(shape, bias):
    torch.manual_seed(0)
    tokens = torch.randn(shape, requires_grad=True)
    weight, bias = torch.randn(40, 24), torch.randn(40) if bias else None
    ours, plain = (f(tokens, weight, bias) for f in (frozen_linear, F.linear))
    torch.testing.assert_close(ours, plain, rtol=1e-5, atol=1e-5)
    # expanded: what a sum gives backwards has no memory of its own
    grads = [torch.autograd.grad(y.sum(), tokens)[0] for y in (ours, plain)]
    torch.testing.assert_close(*grads, rtol=1e-5, atol=1e-5)


def test_weights_that_learn_get_their_gradients():
    tokens, weight = torch.randn(FEWEST, 8), torch.randn(4, 8, requires_grad=True)
    frozen_linear(tokens, weight, None).sum().backward()
    torch.testing.assert_close(weight.grad, tokens.sum(0).expand(4, -1))


def test_quick_gelu_after_a_frozen_layer():
    block = ResidualAttentionBlock(32, 4, act_layer=QuickGELU).requires_grad_(False)
    tokens = torch.randn(16, 17, 32, requires_grad=True)
    ours, plain = (
        torch.autograd.grad(f(tokens).sum(), tokens)[0]
        for f in (lambda x: run_block(block, x), block)
    )
    torch.testing.assert_close(ours, plain, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('dtype, close', [(torch.float64, 1e-12), (torch.float32, 1e-5)])
@pytest.mark.parametrize('prompts', [0, 3])
def test_one_query_reads_what_the_whole_block_gives(dtype, close, prompts):
    torch.manual_seed(0)
    block = ResidualAttentionBlock(32, 4).to(dtype).requires_grad_(False)
    for value in block.parameters():
        torch.nn.init.normal_(value, std=0.3)  # biases, too
    tokens = torch.randn(5, 9, 32, dtype=dtype, requires_grad=True)
    extra = torch.randn(1, prompts, 32, dtype=dtype, requires_grad=True)
    whole = block(torch.cat([tokens, extra.expand(5, -1, -1)], dim=1))[:, :1]
    read = run_block(block, tokens, extra if prompts else None, read=1)
    torch.testing.assert_close(read, whole, rtol=close, atol=close)
    wanted = (tokens, extra) if prompts else (tokens,)
    direction = torch.randn_like(whole)
    ours, plain = (torch.autograd.grad((y * direction).sum(), wanted) for y in (read, whole))
    for one, other in zip(ours, plain):
        torch.testing.assert_close(one, other, rtol=10 * close, atol=10 * close)
