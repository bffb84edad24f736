"""Linear layers that do not learn, on a CPU: oneDNN's product instead of MKL's.

In single precision torch hands linear layers to MKL. oneDNN, which torch ships as well, takes
7 to 10 % less time for the matrices of CLIP's towers (AMD EPYC, AVX-512), and needs no copy of
the weights for the gradient of the input, the only one that a frozen layer has.
"""

import torch
import torch.nn.functional as F
from torch.autograd.function import once_differentiable

FEWEST = 256  # rows; below, arranging the weights costs more than is gained


def frozen_linear(
    tokens: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None
) -> torch.Tensor:
    """``F.linear``, the same to rounding; faster where the weights are frozen.

    Args:
        tokens (Tensor): (..., D).
        weight (Tensor): (O, D).
        bias (Tensor, optional): (O,).

    Returns:
        Tensor: (..., O).
    """
    learns = weight.requires_grad or bias is not None and bias.requires_grad
    if learns or not _suits(tokens, weight):
        return F.linear(tokens, weight, bias)
    return _FrozenLinear.apply(tokens, weight, bias)


def _suits(tokens: torch.Tensor, weight: torch.Tensor) -> bool:
    single = tokens.dtype == weight.dtype == torch.float32
    return (
        single
        and tokens.device.type == 'cpu'
        and tokens.numel() >= FEWEST * tokens.shape[-1]
        and torch.backends.mkldnn.is_available()
        and hasattr(torch.ops.mkldnn, '_linear_pointwise')  # private: another torch may lack it
        and not torch.is_autocast_enabled('cpu')
        and not torch.compiler.is_compiling()  # has its own choice, and cannot look inside
        and not torch.jit.is_tracing()
    )


class _FrozenLinear(torch.autograd.Function):
    @staticmethod
    def forward(ctx, tokens, weight, bias):
        ctx.save_for_backward(weight)
        return _product(tokens, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        (weight,) = ctx.saved_tensors
        return _product(grad, weight.t(), None), None, None


def _product(tokens, weight, bias):
    return torch.ops.mkldnn._linear_pointwise(tokens, weight, bias, 'none', [], '')
