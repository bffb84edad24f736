"""Where the tokens of many prompts are in one packed matrix."""

from collections.abc import Callable, Sequence
from itertools import accumulate, groupby
from typing import NamedTuple

import torch
import torch.nn as nn

from .edits import Edit


class Packing(nn.Module):
    """Where each token of many prompts is in the packed matrix.

    Args:
        prompts (Sequence[Sequence[int]]): For each of the C classes, its
            tokens from the start to the end of text, as indices into a bank
            of embeddings. Equal indices mean equal embeddings.
        classes (Sequence[int], optional): Which of the model's classes these
            are. Defaults to all of them.

    Attributes:
        prefix (Tensor): Bank indices of the shared tokens, (P,).
        own (Tensor): Bank indices of the classes' own tokens, (T,), shorter
            classes first.
        position (Tensor): Positions of prefix and own tokens, (P + T,).
        last (Tensor): Rows of the ends of text among the own tokens, (C,),
            shorter classes first.
        rank (Tensor): Place of each class among the sorted classes, (C,).
        order (Tensor): The model's classes, shorter prompts first, (C,).
        groups (list[tuple[int, int]]): ``(length, number of classes)``.
        future (Tensor): :func:`later_tokens` of the longest prompt.
    """

    def __init__(self, prompts: Sequence[Sequence[int]], classes: Sequence[int] | None = None):
        super().__init__()
        self.constant: dict[tuple, torch.Tensor] = {}  # of packed_text.constant_states
        self._spans: list[range] | None = None  # own tokens of each class, see part()
        classes = range(len(prompts)) if classes is None else classes
        shared = shared_length(prompts)
        order = sorted(range(len(prompts)), key=lambda c: len(prompts[c]))
        own = [list(prompts[c][shared:]) for c in order]
        last = [total - 1 for total in accumulate(map(len, own))]
        position = list(range(shared)) + [shared + i for tokens in own for i in range(len(tokens))]
        self.groups = [(length, len(list(group))) for length, group in groupby(own, key=len)]
        rank = [0] * len(prompts)
        for place, c in enumerate(order):
            rank[c] = place
        for name, values in dict(
            prefix=prompts[0][:shared],
            own=[i for tokens in own for i in tokens],
            position=position,
            last=last,
            order=[classes[c] for c in order],
            rank=rank,
        ).items():
            self.register_buffer(name, torch.tensor(values, dtype=torch.long), persistent=False)
        future = later_tokens(max(map(len, prompts)))
        self.register_buffer('future', future, persistent=False)

    def layout(self) -> 'Layout':
        """Where the tokens are in the first block."""
        return Layout(self.prefix.numel(), self.groups, self.last, self.future)

    def part(self, classes: Sequence[int]) -> 'PackedPart':
        """Where the tokens of some of the classes are; what all classes share
        stays shared.

        Args:
            classes (Sequence[int]): Places among the classes.
        """
        if self._spans is None:
            lengths = [n for n, count in self.groups for _ in range(count)]
            ends = list(accumulate(lengths))
            spans = [range(end - n, end) for n, end in zip(lengths, ends)]
            self._spans = [spans[r] for r in self.rank.tolist()]
        spans, device, shared = self._spans, self.own.device, self.prefix.numel()
        order = sorted(range(len(classes)), key=lambda place: len(spans[classes[place]]))
        own = [spans[classes[place]] for place in order]
        groups = [(length, len(list(group))) for length, group in groupby(own, key=len)]
        rows = [*range(shared), *(shared + i for span in own for i in span)]
        rank = sorted(range(len(order)), key=order.__getitem__)

        def tensor(values):
            return torch.tensor(list(values), dtype=torch.long, device=device)

        last = tensor(total - 1 for total in accumulate(map(len, own)))
        return PackedPart(
            tensor(rows),
            tensor(rank),
            self.order[self.rank[tensor(classes[place] for place in order)]],
            Layout(shared, groups, last, self.future),
        )

    def unpack(self, prefix: torch.Tensor, own: torch.Tensor, dim: int) -> list[torch.Tensor]:
        """Put each class's prompt together again.

        Args:
            prefix (Tensor): One entry along ``dim`` for each shared token.
            own (Tensor): One entry along ``dim`` for each own token.
            dim (int): The dimension of the tokens.

        Returns:
            list[Tensor]: One per class, in the order of the classes.
        """
        lengths = [n for n, count in self.groups for _ in range(count)]
        parts = own.split(lengths, dim)
        return [torch.cat([prefix, parts[r]], dim) for r in self.rank.tolist()]


def later_tokens(count: int, device: torch.device | None = None) -> torch.Tensor:
    """What a causal tower hides from each of some tokens, (count, count) of bool; the first
    rows and columns are those of fewer tokens."""
    return torch.ones(count, count, dtype=torch.bool, device=device).triu(1)


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
        at_block (Callable): What changes before block ``depth``, an
            :class:`Edit` or None.
        constant_below (int): No learnt value enters before this block.
        classes (Sequence[int], optional): Encode only these, by their places.
    """

    prefix: torch.Tensor
    own: torch.Tensor
    packing: Packing
    at_block: Callable[[int], Edit | None] = lambda depth: None
    constant_below: int = 0
    classes: Sequence[int] | None = None

    def unpack(self) -> list[torch.Tensor]:
        """The prompt of each class, (G, its length, W)."""
        own = self.own.expand(len(self.prefix), -1, -1)
        return self.packing.unpack(self.prefix, own, dim=1)


class PackedPart(NamedTuple):
    """Some classes of a packed matrix.

    Attributes:
        rows (Tensor): Their rows, shared tokens first, (P + t,).
        rank (Tensor): Place of each among them, shorter prompts first, (c,).
        order (Tensor): The model's classes, shorter prompts first, (c,).
        layout (Layout): Of these rows.
    """

    rows: torch.Tensor
    rank: torch.Tensor
    order: torch.Tensor
    layout: 'Layout'


class Layout(NamedTuple):
    """Where tokens are in the packed matrix of one block.

    Attributes:
        shared (int): Number of shared tokens, P.
        groups (list[tuple[int, int]]): ``(own tokens, number of classes)``.
        last (Tensor): Rows of the ends of text among the own tokens, (C,),
            shorter prompts first.
        future (Tensor): :func:`later_tokens` of at least P and the longest group.
    """

    shared: int
    groups: list[tuple[int, int]]
    last: torch.Tensor
    future: torch.Tensor

    def parts(self, most: int) -> list['Layout']:
        """Cut into layouts of at most ``most`` own tokens each, and one class at least."""
        cuts: list[list[tuple[int, int]]] = []
        room = 0
        for length, count in self.groups:
            while count:
                if room < length:
                    cuts.append([])
                    room = most
                some = max(1, min(count, room // length))
                cuts[-1].append((length, some))
                count, room = count - some, room - some * length
        found, first, start = [], 0, 0
        for groups in cuts:
            stop = first + sum(count for _, count in groups)
            found.append(self._replace(groups=groups, last=self.last[first:stop] - start))
            first, start = stop, start + found[-1].own
        return found

    @property
    def own(self) -> int:
        """Number of own tokens, T."""
        return sum(length * count for length, count in self.groups)

    def split(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Own tokens by group, (G, classes, length, ...), out of (G, P + T,
        ...)."""
        parts = x[:, self.shared :].split([n * count for n, count in self.groups], dim=1)
        return [p.unflatten(1, (count, n)) for p, (n, count) in zip(parts, self.groups)]
