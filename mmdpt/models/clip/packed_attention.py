"""Causal attention of packed prompts that keeps nothing but its input.

Autograd would keep queries, keys and values, their copies by head and all weights,
and fill a gradient of the whole matrix with zeros for each part of it. Here copies
and weights are made again, and each gradient is written where it belongs.
"""

from typing import Any

import torch

Groups = list[tuple[int, int]]


class PackedAttention(torch.autograd.Function):
    """Attention of the shared tokens among themselves, and of each class's own
    tokens to the shared ones and to its own up to themselves.

    Called by ``apply(qkv, shared, groups, heads, future)``:

    Args:
        qkv (Tensor): Queries, keys and values, (G, P + T, 3 W).
        shared (int): P.
        groups (list[tuple[int, int]]): ``(own tokens, number of classes)``.
        heads (int): H.
        future (Tensor): :func:`later_tokens` of at least the longest sequence.

    Returns:
        Tensor: (G, P + T, W).
    """

    @staticmethod
    def forward(
        ctx: Any, qkv: torch.Tensor, shared: int, groups: Groups, heads: int, future: torch.Tensor
    ) -> torch.Tensor:
        ctx.save_for_backward(qkv, future)
        ctx.layout = shared, groups, heads
        return packed_attention(qkv, shared, groups, heads, future)

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor):
        qkv, future = ctx.saved_tensors
        result = torch.empty_like(qkv)
        sequences, places = _by_head(qkv, 3, *ctx.layout), _by_head(result, 3, *ctx.layout)
        prefix = sequences[0][1:, :, :, 0]
        of_prefix = torch.zeros_like(prefix)
        grads = _by_head(grad, 1, *ctx.layout)
        for i, (part, place, given) in enumerate(zip(sequences, places, grads)):
            before = ctx.layout[0] if i else 0
            keys, values = prefix[:, :, :, :before]
            query, key, value = _copied(part)
            given = given[0].contiguous()
            weights = _weights(query, key, keys, future)
            of_weights = torch.cat([_flat_product(given, values.mT), given @ value.mT], dim=-1)
            of_scores = torch._softmax_backward_data(of_weights, weights, -1, weights.dtype)
            (to_prefix, to_own), (of_front, of_own) = _split(weights), _split(of_scores)
            place[0] = (_flat_product(of_front, keys) + of_own @ key) * _scale(key)
            place[1] = of_own.mT @ query
            place[2] = to_own.mT @ given
            of_prefix[0, :, :, :before] += of_front.flatten(2, 3).mT @ query.flatten(2, 3)
            of_prefix[1, :, :, :before] += to_prefix.flatten(2, 3).mT @ given.flatten(2, 3)
        places[0][1:, :, :, 0] += of_prefix
        return result, None, None, None, None


def packed_attention(
    qkv: torch.Tensor, shared: int, groups: Groups, heads: int, future: torch.Tensor
) -> torch.Tensor:
    """What :class:`PackedAttention` gives, without a gradient."""
    layout = shared, groups, heads
    mixed = qkv.new_empty(*qkv.shape[:2], qkv.shape[2] // 3)
    sequences = _by_head(qkv, 3, *layout)
    prefix = sequences[0][1:, :, :, 0]  # keys and values
    for i, (part, place) in enumerate(zip(sequences, _by_head(mixed, 1, *layout))):
        keys, values = prefix[:, :, :, : shared if i else 0]  # of what is in front
        query, key, value = _copied(part)
        to_prefix, to_own = _split(_weights(query, key, keys, future))
        place[0] = to_own @ value + _flat_product(to_prefix, values)
    return mixed


def _by_head(
    x: torch.Tensor, kinds: int, shared: int, groups: Groups, heads: int
) -> list[torch.Tensor]:
    """Views of packed rows (G, P + T, kinds W): of the shared tokens, then of each
    group of n classes with S own tokens, (kinds, G, H, n, S, d)."""
    groups = [(shared, 1), *groups]
    parts = x.split([length * count for length, count in groups], dim=1)
    return [
        part.unflatten(2, (kinds, heads, -1))
        .unflatten(1, (count, length))
        .permute(3, 0, 4, 1, 2, 5)
        for part, (length, count) in zip(parts, groups)
    ]


def _scale(key: torch.Tensor) -> float:
    return key.shape[-1] ** -0.5


def _copied(part: torch.Tensor) -> torch.Tensor:
    """Scaled queries, keys and values, (3, G, H, n, S, d), side by side in memory."""
    part = part.clone(memory_format=torch.contiguous_format)
    part[0] *= _scale(part)
    return part


def _flat_product(own: torch.Tensor, shared: torch.Tensor) -> torch.Tensor:
    """Product of (G, H, n, S, a) and (G, H, a, b), which is not copied for the classes."""
    return (own.flatten(2, 3) @ shared).unflatten(2, own.shape[2:4])


def _weights(
    query: torch.Tensor, key: torch.Tensor, prefix_key: torch.Tensor, future: torch.Tensor
) -> torch.Tensor:
    """Attention weights of own tokens, (G, H, n, S, P + S), P tokens being in front."""
    length = key.shape[3]
    to_own = (query @ key.mT).masked_fill(future[:length, :length], float('-inf'))
    return torch.cat([_flat_product(query, prefix_key.mT), to_own], dim=-1).softmax(dim=-1)


def _split(weights: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Those of the tokens in front, and those of a class's own, (G, H, n, S, S)."""
    length = weights.shape[3]
    return weights[..., :-length], weights[..., -length:]


def attend_last(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, shared: int, groups: Groups
) -> torch.Tensor:
    """Attention of the last token of each of C classes, shorter prompts first.

    Args:
        query (Tensor): (G, H, C, d).
        key (Tensor): Of prefix and own tokens, (G, H, P + T, d).
        value (Tensor): The same.
        shared (int): P.
        groups (list[tuple[int, int]]): ``(own tokens, number of classes)``.

    Returns:
        Tensor: (G, H, C, d).
    """
    query = query * _scale(key)
    queries = query.split([count for _, count in groups], dim=2)
    sizes = [shared, *(length * count for length, count in groups)]
    (prefix_key, *keys), (prefix_value, *values) = key.split(sizes, 2), value.split(sizes, 2)
    found = []
    for q, k, v, (length, count) in zip(queries, keys, values, groups):
        k, v = k.unflatten(2, (count, length)), v.unflatten(2, (count, length))
        to_own = (q.unsqueeze(3) @ k.mT).squeeze(3)  # (G, H, n, S)
        weights = torch.cat([q @ prefix_key.mT, to_own], dim=-1).softmax(dim=-1)
        # torch.compile (2.14, CPU) confuses the views' strides with their size
        # there, and gives wrong gradients of the values.
        to_prefix, to_own = weights[..., :shared].contiguous(), weights[..., shared:].contiguous()
        found.append(to_prefix @ prefix_value + (to_own.unsqueeze(3) @ v).squeeze(3))
    return torch.cat(found, dim=2)
