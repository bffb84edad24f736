"""Batch norm whose statistics are those of the whole batch, whatever the processes."""

import torch
import torch.distributed as dist
import torch.nn as nn
import torch.nn.functional as F
from mmengine.dist import get_world_size


class BatchNorm(nn.Module):
    """Batch norm of features (B, D).

    In training mean and biased variance are those of the images of all
    processes together, however many each has, and gradients pass through them:
    several processes compute what one would, up to rounding. PyTorch's
    ``SyncBatchNorm`` does that on GPUs only. The running statistics, which are
    used in evaluation, are part of the checkpoint.

    Args:
        size (int): D.
        momentum (float): Share of the batch in the running statistics, whose
            variance is the unbiased one.
        eps (float): Is added to the variance.
    """

    saved_buffers = ('running_mean', 'running_var')

    def __init__(self, size: int, momentum: float = 0.1, eps: float = 1e-5):
        super().__init__()
        self.momentum, self.eps = momentum, eps
        self.weight = nn.Parameter(torch.ones(size))
        self.bias = nn.Parameter(torch.zeros(size))
        self.register_buffer('running_mean', torch.zeros(size))
        self.register_buffer('running_var', torch.ones(size))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalise.

        Args:
            x (Tensor): Features, (B, D).

        Raises:
            ValueError: In training, if there is one image in the whole batch.
        """
        x = x.to(self.weight.dtype)
        if self.training and get_world_size() > 1:
            return self._over_processes(x)
        if self.training:
            check_batch(len(x))
        return F.batch_norm(
            x,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training,
            self.momentum,
            self.eps,
        )

    def _over_processes(self, x: torch.Tensor) -> torch.Tensor:
        sums = _Sum.apply(torch.cat([x.sum(0), x.new_full((1,), len(x))]))
        count = int(sums[-1])
        check_batch(count)
        mean = sums[:-1] / count
        centred = x - mean
        variance = _Sum.apply(centred.square().sum(0)) / count
        with torch.no_grad():
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * (count / (count - 1)), self.momentum)
        return centred * (variance + self.eps).rsqrt() * self.weight + self.bias


def check_batch(count: int) -> None:
    """Raise ValueError unless a batch has a variance."""
    if count < 2:
        raise ValueError(
            f'Batch norm needs at least 2 images in a batch, but there is {count}: raise '
            'train_dataloader.batch_size, or drop the last batch.'
        )


class _Sum(torch.autograd.Function):
    """Sum over all processes, in both directions.

    The gradient of a summand is the sum of all processes' gradients; data-parallel
    training divides by their number afterwards, as for everything else.
    """

    @staticmethod
    def forward(ctx, x):
        x = x.contiguous().clone()
        dist.all_reduce(x)
        return x

    @staticmethod
    def backward(ctx, grad):
        grad = grad.contiguous().clone()
        dist.all_reduce(grad)
        return grad
