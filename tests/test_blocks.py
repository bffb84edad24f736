"""A transformer block in half precision beside open_clip's own in double precision."""

import copy

import pytest
import torch
import torch.nn.functional as F
from open_clip.transformer import QuickGELU, ResidualAttentionBlock

from mmdpt.models.clip.blocks import add_mlp, attend
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
