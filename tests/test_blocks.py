"""One transformer block: the fast forms beside open_clip's own."""

import pytest
import torch
import torch.nn.functional as F
from open_clip.transformer import QuickGELU, ResidualAttentionBlock

from mmdpt.models.clip.blocks import add_mlp, attend


def block(learnt=''):
    torch.manual_seed(0)
    made = ResidualAttentionBlock(16, 2, act_layer=QuickGELU).double()
    for name, parameter in made.named_parameters():
        parameter.data.normal_(std=0.3)
        parameter.requires_grad_(bool(learnt) and name.startswith(learnt))
    return made


def gradients(run, made):
    """What comes out, and the gradients of what comes in and of what is learnt."""
    tokens = torch.randn(2, 5, 16, generator=torch.Generator().manual_seed(1)).double()
    tokens.requires_grad_()
    out = run(tokens)
    learnt = [p for p in made.parameters() if p.requires_grad]
    return [out, *torch.autograd.grad((out.sin() * out).sum(), [tokens, *learnt])]


@pytest.mark.parametrize('learnt', ['', 'ln_2', 'mlp.c_fc.bias', 'mlp.c_fc.weight', 'mlp.c_proj'])
def test_mlp_equals_open_clips(learnt):
    made = block(learnt)
    found = gradients(lambda x: add_mlp(made, x), made)
    wanted = gradients(lambda x: x + made.mlp(made.ln_2(x)), made)
    assert len(found) == len(wanted) >= 2
    for ours, theirs in zip(found, wanted):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


def test_mlp_of_a_frozen_block_keeps_one_tensor():
    made, kept = block(), []
    tokens = torch.randn(7, 16).double().requires_grad_()

    def keep(tensor):
        kept.append(tuple(tensor.shape))
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t):
        add_mlp(made, tokens)
    assert kept.count((7, 64)) == 1


def test_attention_in_bfloat16():
    """As near to the exact one as rounding its input is."""
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
