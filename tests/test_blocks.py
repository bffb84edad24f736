"""Fast forms of a transformer block beside open_clip's own: one query, and half precision."""

import copy

import pytest
import torch
import torch.nn.functional as F
from open_clip.transformer import QuickGELU, ResidualAttentionBlock

from mmdpt.models.clip.blocks import add_mlp, attend, run_block
from mmdpt.models.clip.quick_gelu import FrozenQuickGELU, is_frozen_quick_gelu, weights_of


@pytest.fixture
def block():
    torch.manual_seed(0)
    made = ResidualAttentionBlock(16, 2, act_layer=QuickGELU).double().requires_grad_(False)
    for parameter in made.parameters():
        parameter.normal_(std=0.3)
    return made


def run(layer, dtype=torch.double):
    """What comes out, and the gradient of what comes in."""
    tokens = torch.randn(10, 16, generator=torch.Generator().manual_seed(1)).to(dtype)
    out = layer(tokens.requires_grad_())
    return out.double(), torch.autograd.grad((out.sin() * out).sum(), tokens)[0].double()


def test_mlp_equals_open_clips(block):
    found = run(lambda tokens: FrozenQuickGELU.apply(tokens, *weights_of(block.mlp)))
    for ours, theirs in zip(found, run(block.mlp)):
        torch.testing.assert_close(ours, theirs, rtol=1e-13, atol=1e-13)


def test_mlp_in_bfloat16_rounds_no_more_than_the_plain_one(block):
    half = copy.deepcopy(block).bfloat16()
    exact = run(lambda x: x + half.double().mlp(half.ln_2(x)))
    half.bfloat16()
    ours = run(lambda x: add_mlp(half, x), torch.bfloat16)
    plain = run(lambda x: x + half.mlp(half.ln_2(x)), torch.bfloat16)
    for a, b, c in zip(ours, plain, exact):
        assert 0 < (a - c).abs().mean() < 1.1 * (b - c).abs().mean()


def test_which_mlp(block):
    """Frozen ones, in half precision; what learns gets its gradients."""
    half = copy.deepcopy(block).bfloat16()
    tokens = torch.randn(2, 5, 16)
    assert is_frozen_quick_gelu(half.mlp, tokens.bfloat16())
    assert not is_frozen_quick_gelu(block.mlp, tokens.double())
    for parameter in half.mlp.parameters():
        parameter.requires_grad_()
        assert not is_frozen_quick_gelu(half.mlp, tokens.bfloat16())
        add_mlp(half, tokens.bfloat16()).sum().backward()
        assert (parameter.grad != 0).any()
        parameter.requires_grad_(False)
    half.mlp.gelu = torch.nn.GELU()
    assert not is_frozen_quick_gelu(half.mlp, tokens.bfloat16())


def test_mlp_keeps_one_tensor(block):
    kept = []
    half = block.bfloat16()

    def keep(tensor):
        kept.append(tuple(tensor.shape))
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t):
        add_mlp(half, torch.randn(7, 16).bfloat16().requires_grad_())
    assert kept.count((7, 64)) == 1


def test_attention_in_bfloat16():
    torch.manual_seed(0)
    exact = [torch.randn(2, 3, n, 8).double() for n in (5, 7, 7)]
    half = [t.bfloat16().requires_grad_() for t in exact]
    rounded = [t.detach().double().requires_grad_() for t in half]
    found, wanted = attend(*half), F.scaled_dot_product_attention(*rounded)
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.double(), wanted, rtol=0, atol=0.02)
    pairs = zip(torch.autograd.grad(found.sum(), half), torch.autograd.grad(wanted.sum(), rounded))
    for ours, theirs in pairs:
        torch.testing.assert_close(ours.double(), theirs, rtol=0, atol=0.06)


def test_quick_gelu_in_single_precision():
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
