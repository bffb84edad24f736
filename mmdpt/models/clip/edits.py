"""What a prompt changes among the tokens that enter a block."""

from typing import NamedTuple

import torch

WAYS = ('replace', 'insert')


class Edit(NamedTuple):
    """A prompt's answer to the question of one block.

    The tokens stand behind the start of text. Their outputs go on through the
    blocks that follow, until another edit takes their place.

    Attributes:
        tokens (Tensor): The same for all classes, (n, W), or one set per
            class, (C, n, W). No positional embedding is added to them.
        how (str): 'replace' what stands there, or 'insert' in front of it.
        weight (float): With 'replace': the share b in
            ``b * tokens + (1 - b) * what stood there``.
    """

    tokens: torch.Tensor
    how: str = 'replace'
    weight: float = 1.0


def apply_edit(edit: Edit, x: torch.Tensor, start: int) -> torch.Tensor:
    """Edit sequences of tokens.

    Args:
        edit (Edit): Its tokens (..., n, W) broadcast to those of ``x``.
        x (Tensor): The sequences, (..., L, W).
        start (int): How many tokens stand in front of the edited ones.

    Returns:
        Tensor: (..., L, W), or (..., L + n, W) after an insertion.

    Raises:
        ValueError: If the way is unknown, or the tokens do not fit.
    """
    if edit.how not in WAYS:
        raise ValueError(f'how={edit.how!r} is unknown; use one of {", ".join(WAYS)}.')
    tokens = edit.tokens.to(x.dtype)
    count = tokens.shape[-2]
    behind = start if edit.how == 'insert' else start + count
    if tokens.shape[-1] != x.shape[-1] or behind > x.shape[-2]:
        raise ValueError(
            f'An edit of {count} tokens of width {tokens.shape[-1]} does not fit into sequences '
            f'of {x.shape[-2]} tokens of width {x.shape[-1]}, of which {start} stay in front.'
        )
    if edit.how == 'replace' and edit.weight != 1:
        tokens = edit.weight * tokens + (1 - edit.weight) * x[..., start:behind, :]
    tokens = tokens.expand(*x.shape[:-2], count, x.shape[-1])
    return torch.cat([x[..., :start, :], tokens, x[..., behind:, :]], dim=-2)
