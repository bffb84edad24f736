"""Dropout that depends on the sample, not on the process that holds it."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from mmengine.dist import get_rank, get_world_size

from ..randomness import mix


class SampleDropout(nn.Module):
    """Dropout whose mask is a function of seed, iteration and sample.

    So it is the same in one process and in several, and when activations are
    computed again. A place (token, channel) draws 32 random bits, a sample an
    odd number; their product decides, which is universal hashing
    (`Dietzfelbinger et al. 1997 <https://doi.org/10.1006/jagm.1997.0873>`_).
    Before the first :meth:`begin_step` it is PyTorch's dropout.

    Args:
        p (float): Share of the values that are dropped, below 1.
    """

    def __init__(self, p: float):
        super().__init__()
        self.p, self.seed, self.keys = p, None, None

    def begin_step(self, seed: tuple[int, ...], keys: torch.Tensor | None) -> None:
        """Set what the masks depend on.

        Args:
            seed (tuple[int]): Of this step and module.
            keys (Tensor, optional): Odd int32 numbers of the samples, (B,);
                None for tokens that do not belong to a sample.
        """
        self.seed, self.keys = seed, keys

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Drop values of tokens (B or 1, L, D)."""
        if not self.training or not self.p:
            return x
        if self.seed is None:
            return F.dropout(x, self.p)
        keep = self._bits(x) >= round(self.p * 2**32) - 2**31
        return torch.where(keep, x / (1 - self.p), 0.0)

    def _bits(self, x: torch.Tensor) -> torch.Tensor:
        generator = torch.Generator(x.device).manual_seed(mix(*self.seed, x.shape[1]))
        bits = torch.randint(
            -(2**31), 2**31, x.shape[1:], generator=generator, dtype=torch.int32, device=x.device
        )
        if self.keys is None or len(self.keys) != len(x):
            return bits
        return bits * self.keys.view(-1, *[1] * bits.dim())


def sample_keys(samples: Sequence, seed: tuple[int, int], device: torch.device) -> torch.Tensor:
    """An odd int32 number for each sample, by its index in the dataset, or,
    where it does not know it, by its place in the batch of all processes."""
    rank, world = get_rank(), get_world_size()
    numbers = [
        mix(*seed, s.get('sample_idx', rank + world * place)) | 1 for place, s in enumerate(samples)
    ]
    return torch.from_numpy(np.array(numbers, np.uint32).view(np.int32)).to(device)
