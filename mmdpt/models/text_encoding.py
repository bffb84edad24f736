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
from itertools import accumulate, groupby
from typing import List, NamedTuple, Optional, Sequence

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.checkpoint import checkpoint

from .blocks import add_mlp, project, split_heads


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
        last (Tensor): Rows of the ends of text among the own tokens, (C,),
            shorter classes first.
        rank (Tensor): Place of each class among the sorted classes, (C,).
        groups (list[tuple[int, int]]): ``(length, number of classes)``.
    """

    def __init__(self, prompts: Sequence[Sequence[int]]):
        super().__init__()
        shared = shared_length(prompts)
        order = sorted(range(len(prompts)), key=lambda c: len(prompts[c]))
        own = [list(prompts[c][shared:]) for c in order]
        last = [total - 1 for total in accumulate(map(len, own))]
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
                last=last,
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
        deep (Tensor, optional): What stands at the n positions behind the
            start of text before block 1, 2, ... instead of the outputs of the
            block before, (J - 1, n, W); the same for all classes, so the
            prefix stays shared.
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
        x = replace_tokens(x, deep, depth, len(tower.start))
        if tower.checkpointing and torch.is_grad_enabled():
            x = checkpoint(_run_block, block, x, packing, use_reentrant=False)
        else:
            x = _run_block(block, x, packing)
    x = replace_tokens(x, deep, len(tower.blocks) - 1, len(tower.start))
    ends = _run_last_block(tower.blocks[-1], x, packing)
    return tower.project(tower.ln_final(ends))


def replace_tokens(x: torch.Tensor, deep: Optional[torch.Tensor], depth: int,
                   start: int) -> torch.Tensor:
    """Put the tokens that block ``depth`` has of its own behind the start.

    Args:
        x (Tensor): Tokens entering the block, (G, T, W).
        deep (Tensor, optional): See :class:`PackedPrompts`.
        depth (int): Index of the block.
        start (int): Number of tokens in front of the context.
    """
    if deep is None or not 1 <= depth <= len(deep):
        return x
    tokens = deep[depth - 1].to(x.dtype).expand(len(x), -1, -1)  # (G, n, W)
    return torch.cat([x[:, :start], tokens, x[:, start + tokens.shape[1]:]],
                     dim=1)


def _run_block(block, x, packing):
    qkv = project(block.attn, block.ln_1(x))
    query, key, value = qkv.unflatten(2, (3, -1)).unbind(2)
    shared = packing.prefix.numel()
    outputs = [
        F.scaled_dot_product_attention(
            *(split_heads(block.attn, t[:, :shared]) for t in (query, key, value)),
            is_causal=True)
    ] if shared else []
    outputs += _attend_groups(block, query[:, shared:], key, value, packing)
    return _close(block, x, outputs)


def _run_last_block(block, x, packing):
    """Only the end of text is read: queries, output projection and MLP are
    computed for it alone. Returns (G, C, W) in the order of the classes."""
    normed = block.ln_1(x)
    ends = packing.last + packing.prefix.numel()
    query = project(block.attn, normed.index_select(1, ends), last=1)
    key, value = project(block.attn, normed, first=1).chunk(2, -1)
    outputs = _attend_groups(block, query, key, value, packing)
    ends = _close(block, x.index_select(1, ends), outputs)
    return ends.index_select(1, packing.rank)


def _close(block, x, outputs):
    mixed = torch.cat(outputs, dim=2).transpose(1, 2).flatten(2)
    return add_mlp(block, x + block.ls_1(block.attn.out_proj(mixed)))


def _attend_groups(block, query, key, value, packing):
    """Attention of all classes, group by group of equal length.

    Args:
        block (nn.Module): Gives the number of heads H.
        query (Tensor): Of all own tokens (G, T, W), or of the last token of
            each class (G, C, W), shorter classes first.
        key (Tensor): Of prefix and own tokens, (G, P + T, W).
        value (Tensor): The same.
        packing (Packing): The layout.

    Returns:
        list[Tensor]: One (G, H, queries, d) a group.
    """
    shared = packing.prefix.numel()
    query, key, value = (split_heads(block.attn, t) for t in (query, key, value))
    query = query * query.shape[-1]**-0.5
    every = query.shape[2] == packing.own.numel()
    outputs, start, first = [], shared, 0
    for length, count in packing.groups:
        stop, queries = start + length * count, length if every else 1
        outputs.append(
            _attend_group(
                query[:, :, first:first + count * queries].unflatten(
                    2, (count, queries)),
                key[:, :, start:stop].unflatten(2, (count, length)),
                value[:, :, start:stop].unflatten(2, (count, length)),
                key[:, :, :shared], value[:, :, :shared]))
        start, first = stop, first + count * queries
    return outputs


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
    if query.shape[3] == 1:
        # torch.compile (2.14, CPU) takes the views' strides for their size
        # there, and gives wrong gradients of the values.
        to_prefix, to_own = to_prefix.contiguous(), to_own.contiguous()
    return to_prefix.flatten(2, 3) @ prefix_value + (to_own @ value).flatten(
        2, 3)
