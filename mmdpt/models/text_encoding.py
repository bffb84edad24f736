"""Encode many class prompts with their shared prefix computed once.

CLIP's text tower is causal and reads its feature off the end-of-text token.
So nothing after that token matters, and tokens that all prompts have in common
at the front (start of text, shared context) are the same at every layer, for
every class. They are computed once; each class runs only its own few tokens,
which attend to the prefix's keys and values without a copy of them.

All tokens, the prefix and every class's own, form one matrix for the linear
layers. Classes are sorted by their number of own tokens, so that attention
among own tokens goes by groups of equal length, and nothing is padded.
"""
from itertools import groupby
from typing import List, NamedTuple, Optional, Sequence

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.checkpoint import checkpoint

from .blocks import add_mlp, project


class Packing(nn.Module):
    """Where each token of many prompts stands in the packed matrix.

    Args:
        prompts (Sequence[Sequence[int]]): For each of the C classes, its
            tokens from the start to the end of text, as indices into a bank
            of embeddings. Equal indices mean equal embeddings.

    Attributes:
        prefix (Tensor): Bank indices of the shared tokens, (P,).
        own (Tensor): Bank indices of the classes' own tokens, (T,), shorter
            classes first.
        position (Tensor): Positions of prefix and own tokens, (P + T,).
        end (Tensor): Row of each class's end of text among the own tokens,
            (C,), in the order of ``prompts``.
        rank (Tensor): Place of each class among the sorted classes, (C,).
        groups (list[tuple[int, int]]): ``(length, number of classes)``.
    """

    def __init__(self, prompts: Sequence[Sequence[int]]):
        super().__init__()
        shared = shared_length(prompts)
        order = sorted(range(len(prompts)), key=lambda c: len(prompts[c]))
        own = [list(prompts[c][shared:]) for c in order]
        ends, total = [0] * len(prompts), 0
        for c, tokens in zip(order, own):
            total += len(tokens)
            ends[c] = total - 1
        position = list(range(shared)) + [
            shared + i for tokens in own for i in range(len(tokens))
        ]
        self.groups = [(length, len(list(group)))
                       for length, group in groupby(own, key=len)]
        rank = [0] * len(prompts)
        for place, c in enumerate(order):
            rank[c] = place
        for name, values in dict(
                prefix=prompts[0][:shared],
                own=[i for tokens in own for i in tokens],
                position=position,
                end=ends,
                rank=rank).items():
            self.register_buffer(
                name, torch.tensor(values, dtype=torch.long), persistent=False)

    def unpack(self, prefix: torch.Tensor, own: torch.Tensor,
               dim: int) -> List[torch.Tensor]:
        """Put each class's prompt together again.

        Args:
            prefix (Tensor): One entry along ``dim`` for each shared token.
            own (Tensor): One entry along ``dim`` for each own token.
            dim (int): The dimension of the tokens.

        Returns:
            list[Tensor]: One a class, in the order of the classes.
        """
        lengths = [n for n, count in self.groups for _ in range(count)]
        parts = own.split(lengths, dim)
        return [torch.cat([prefix, parts[r]], dim) for r in self.rank.tolist()]


def shared_length(prompts: Sequence[Sequence[int]]) -> int:
    """Number of leading tokens that all prompts share; at least one token,
    the end of text, remains each class's own."""
    first = prompts[0]
    limit = min(map(len, prompts)) - 1
    for i in range(limit):
        if any(p[i] != first[i] for p in prompts):
            return i
    return limit


class PackedPrompts(NamedTuple):
    """Prompts ready for the text tower (without positional embedding).

    Attributes:
        prefix (Tensor): Shared tokens, (G, P, W); G is 1, or the number of
            images where the context depends on the image.
        own (Tensor): The classes' own tokens, (G or 1, T, W).
        packing (Packing): Which rows are whose.
        deep (Tensor, optional): What stands at positions 1 to n before block
            1, 2, ... instead of the outputs of the block before,
            (J - 1, n, W); the same for all classes, so the prefix stays
            shared.
    """
    prefix: torch.Tensor
    own: torch.Tensor
    packing: Packing
    deep: Optional[torch.Tensor] = None

    def unpack(self) -> List[torch.Tensor]:
        """The prompt of each class, (G, its length, W)."""
        own = self.own.expand(len(self.prefix), -1, -1)
        return self.packing.unpack(self.prefix, own, dim=1)


def encode(tower: nn.Module, prompts: PackedPrompts) -> torch.Tensor:
    """Encode packed prompts.

    Args:
        tower (TextTower): The text tower.
        prompts (PackedPrompts): The prompts of C classes.

    Returns:
        Tensor: Text features (G, C, E), not normalised; equal, gradients
        included, to encoding every prompt by itself.
    """
    prefix, own, packing, deep = prompts
    x = torch.cat([prefix, own.expand(len(prefix), -1, -1)], dim=1)
    x = x + tower.positional_embedding[packing.position].to(x.dtype)
    for depth, block in enumerate(tower.blocks[:-1]):
        x = _replace(x, deep, depth)
        if tower.checkpointing and torch.is_grad_enabled():
            x = checkpoint(_run_block, block, x, packing, use_reentrant=False)
        else:
            x = _run_block(block, x, packing)
    # The last block's output is read at the end of text alone.
    block = tower.blocks[-1]
    x = _replace(x, deep, len(tower.blocks) - 1)
    ends = x.index_select(1, packing.end + packing.prefix.numel())
    mixed = _attend(block, x, packing, ends_only=True)
    ends = add_mlp(block, ends + block.ls_1(mixed))
    return tower.ln_final(ends) @ tower.text_projection


def _replace(x, deep, depth):
    """Put the tokens that block ``depth`` has of its own into the prefix."""
    if deep is None or not 1 <= depth <= len(deep):
        return x
    tokens = deep[depth - 1].to(x.dtype).expand(len(x), -1, -1)  # (G, n, W)
    return torch.cat([x[:, :1], tokens, x[:, 1 + tokens.shape[1]:]], dim=1)


def _run_block(block, x, packing):
    return add_mlp(block, x + block.ls_1(_attend(block, x, packing)))


def _attend(block, x, packing, ends_only=False):
    """Causal self-attention of the packed prompts x (G, P + T, W).

    Returns (G, P + T, W), or with ``ends_only`` (G, C, W), the classes in
    their own order.
    """
    attn = block.attn
    shared = packing.prefix.numel()
    qkv = project(attn, block.ln_1(x))
    # (G, P + T, 3 W) -> three times (G, H, P + T, W / H)
    query, key, value = qkv.unflatten(
        -1, (3, attn.num_heads, -1)).permute(2, 0, 3, 1, 4)
    query = query * query.shape[-1]**-0.5
    prefix_key, prefix_value = key[:, :, :shared], value[:, :, :shared]
    outputs = []
    if not ends_only and shared:
        outputs.append(
            F.scaled_dot_product_attention(
                query[:, :, :shared],
                prefix_key,
                prefix_value,
                is_causal=True,
                scale=1.0))
    start = shared
    for length, count in packing.groups:
        stop = start + length * count
        group = [
            t[:, :, start:stop].unflatten(2, (count, length))
            for t in (query, key, value)
        ]
        if ends_only:
            group[0] = group[0][:, :, :, -1:]
        outputs.append(_attend_group(*group, prefix_key, prefix_value))
        start = stop
    mixed = torch.cat(outputs, dim=2).transpose(1, 2).flatten(2)
    if ends_only:
        # Groups come sorted by length; back to the order of the classes.
        mixed = mixed.index_select(1, packing.rank)
    return attn.out_proj(mixed)


def _attend_group(query, key, value, prefix_key, prefix_value):
    """Attention of n classes with S own tokens each.

    Args:
        query (Tensor): (G, H, n, S, d), or (G, H, n, 1, d) for the last token.
        key (Tensor): (G, H, n, S, d).
        value (Tensor): (G, H, n, S, d).
        prefix_key (Tensor): (G, H, P, d); never copied for the classes.
        prefix_value (Tensor): (G, H, P, d).

    Returns:
        Tensor: (G, H, n * S or n, d).
    """
    shared = prefix_key.shape[2]
    to_prefix = query.flatten(2, 3) @ prefix_key.transpose(-1, -2)
    to_own = query @ key.transpose(-1, -2)  # (G, H, n, S, S)
    if query.shape[3] > 1:
        future = torch.ones(
            to_own.shape[-2:], dtype=torch.bool, device=key.device).triu(1)
        to_own = to_own.masked_fill(future, float('-inf'))
    scores = torch.cat([
        to_prefix.unflatten(2, query.shape[2:4]),
        to_own,
    ], dim=-1).softmax(dim=-1)
    to_prefix, to_own = scores.split([shared, key.shape[3]], dim=-1)
    return to_prefix.flatten(2, 3) @ prefix_value + (to_own @ value).flatten(
        2, 3)
