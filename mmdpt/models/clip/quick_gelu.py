"""The MLP of a frozen block with QuickGELU, x sigmoid(1.702 x), in half precision.

Of z = 1.702 x it is silu(z) / 1.702. The matrix products take these factors along, before they
round, and in the gradient they cancel: four passes over the hidden units less. In single
precision that would save 1 %, and change its rounding.
"""

from typing import Any

import torch
import torch.nn as nn
import torch.nn.functional as F

FACTOR = 1.702


class FrozenQuickGELU(torch.autograd.Function):
    """``c_proj(QuickGELU(c_fc(tokens)))`` that keeps one tensor, (N, 4 D).

    Called by ``apply(tokens, wide, wide_bias, narrow, narrow_bias)``, tokens (N, D), with the
    weights and biases of ``c_fc`` (4 D, D) and ``c_proj`` (D, 4 D), which get no gradient.
    """

    @staticmethod
    def forward(
        ctx: Any,
        tokens: torch.Tensor,
        wide: torch.Tensor,
        wide_bias: torch.Tensor,
        narrow: torch.Tensor,
        narrow_bias: torch.Tensor,
    ) -> torch.Tensor:
        hidden = torch.addmm(wide_bias, tokens, wide.T, beta=FACTOR, alpha=FACTOR)
        ctx.save_for_backward(hidden, wide, narrow)
        return torch.addmm(narrow_bias, F.silu(hidden), narrow.T, alpha=1 / FACTOR)

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor):
        hidden, wide, narrow = ctx.saved_tensors
        grad = torch.ops.aten.silu_backward(grad @ narrow, hidden) @ wide
        return grad, None, None, None, None


def is_frozen_quick_gelu(mlp: nn.Module, tokens: torch.Tensor) -> bool:
    """Whether :class:`FrozenQuickGELU` computes this MLP."""
    return (
        tokens.dtype in (torch.bfloat16, torch.float16)
        and type(mlp.gelu).__name__ == 'QuickGELU'
        and type(mlp.c_fc) is type(mlp.c_proj) is nn.Linear
        and not any(tensor.requires_grad for tensor in weights_of(mlp))
        and not torch.is_autocast_enabled(tokens.device.type)
        and not torch.jit.is_tracing()  # FLOPs are counted so
    )


def weights_of(mlp: nn.Module) -> tuple[torch.Tensor, ...]:
    """Weights and biases, as :class:`FrozenQuickGELU` takes them."""
    return mlp.c_fc.weight, mlp.c_fc.bias, mlp.c_proj.weight, mlp.c_proj.bias
