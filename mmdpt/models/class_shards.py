"""Each process encodes its share of the classes.

With data-parallel training every process would encode every class, and spend
the same memory and time on it. Instead each encodes some, and all get all
features, gradients included.
"""

import torch
import torch.distributed as dist
from mmengine.dist import get_rank, get_world_size

from .clip.packing import PackedPrompts, Packing

AUTO_FROM = 256  # classes; below, the exchange costs more than it saves


def use_shards(setting: str | bool, num_classes: int) -> bool:
    """Whether this step's classes are shared among the processes.

    Args:
        setting (str | bool): True, False, or 'auto': from 256 classes on.
        num_classes (int): C.
    """
    world = get_world_size()
    if world == 1 or num_classes < world or not torch.is_grad_enabled():
        return False  # in evaluation the processes need not be in step
    return num_classes >= AUTO_FROM if setting == 'auto' else setting


class ClassShards:
    """Share of this process in the classes of one text prompt.

    Classes are distributed in the order of their length, so that the processes
    get about the same number of tokens.

    Args:
        packing (Packing): All classes.
        rank (int): This process.
        world (int): Number of processes.
    """

    def __init__(self, packing: Packing, rank: int, world: int):
        device = packing.own.device
        prompts = [p.tolist() for p in packing.unpack(packing.prefix, packing.own, dim=0)]
        order = sorted(range(len(prompts)), key=lambda c: len(prompts[c]))
        shares = [order[r::world] for r in range(world)]
        self.packing = Packing([prompts[c] for c in shares[rank]], shares[rank]).to(device)
        self.counts = [len(share) for share in shares]
        # Row of each class among the gathered shares.
        place = {c: i for i, c in enumerate(sum(shares, []))}
        self.rows = torch.tensor([place[c] for c in range(len(prompts))], device=device)

    def encode(self, tower, text_prompt) -> torch.Tensor:
        """Text features of all classes, (G, C, E)."""
        mine: PackedPrompts = text_prompt(packing=self.packing)
        features = _Gather.apply(tower(mine), self.counts)
        return features.index_select(1, self.rows)


class _Gather(torch.autograd.Function):
    """Concatenate shares (G, c, E) of all processes along the classes.

    The gradient of a share is the sum over all processes: data-parallel
    training divides by their number afterwards, as for everything else.
    """

    @staticmethod
    def forward(ctx, share, counts):
        ctx.counts = counts
        most = max(counts)
        padded = share.new_zeros(share.shape[0], most, share.shape[2])
        padded[:, : share.shape[1]] = share
        parts = [torch.empty_like(padded) for _ in counts]
        dist.all_gather(parts, padded)
        return torch.cat([p[:, :n] for p, n in zip(parts, counts)], dim=1)

    @staticmethod
    def backward(ctx, grad):
        grad = grad.contiguous().clone()
        dist.all_reduce(grad)
        return grad.split(ctx.counts, dim=1)[get_rank()], None
