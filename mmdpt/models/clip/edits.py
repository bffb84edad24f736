"""What a prompt changes among the tokens that enter a block."""

from typing import NamedTuple

import torch

WAYS = ('replace', 'insert', 'append')


class Edit(NamedTuple):
    """A prompt's answer to the question of one block, in either tower.

    In the text tower the tokens follow the start of text; in the image
    tower a prompt's tokens are kept apart from the image's, so that 'replace'
    replaces tokens of an earlier block's edit. No positional embedding is
    added to them.

    Attributes:
        tokens (Tensor): (n, W), the same for all; or one set per class,
            (C, n, W), in the text tower; or one per image, (B, n, D), or per
            equal part of the batch, (R, n, D), in the image tower.
        how (str): 'replace' what is there, 'insert' in front of it, or
            'append' behind it (image tower only).
        weight (float): With 'replace': the share b in
            ``b * tokens + (1 - b) * what was there``.
        stays (bool): Whether the outputs of the tokens go on to the blocks
            that follow. In the text tower they always do.
        pre_norm (bool): Whether the tokens pass through the image tower's
            ``ln_pre`` first, as the image's own do before the first block.
        evidence (Tensor, optional): Class logits of class-aware tokens,
            (B, K, C), for the head.
    """

    tokens: torch.Tensor
    how: str = 'replace'
    weight: float = 1.0
    stays: bool = True
    pre_norm: bool = False
    evidence: torch.Tensor | None = None


def apply_edit(edit: Edit, x: torch.Tensor, start: int) -> torch.Tensor:
    """Edit sequences of tokens.

    Args:
        edit (Edit): Its tokens (..., n, W) broadcast to those of ``x``.
        x (Tensor): The sequences, (..., L, W).
        start (int): How many tokens precede the edited ones.

    Returns:
        Tensor: (..., L, W), or (..., L + n, W) where tokens were added.

    Raises:
        ValueError: If the way is unknown, or the tokens do not fit.
    """
    if edit.how not in WAYS:
        raise ValueError(f'how={edit.how!r} is unknown; use one of {", ".join(WAYS)}.')
    tokens = edit.tokens.to(x.dtype)
    count = tokens.shape[-2]
    start = x.shape[-2] if edit.how == 'append' else start
    behind = start + count if edit.how == 'replace' else start
    if tokens.shape[-1] != x.shape[-1] or behind > x.shape[-2]:
        raise ValueError(
            f'An edit of {count} tokens of width {tokens.shape[-1]} does not fit into sequences '
            f'of {x.shape[-2]} tokens of width {x.shape[-1]}, of which {start} stay in front.'
        )
    if edit.how == 'replace' and edit.weight != 1:
        tokens = edit.weight * tokens + (1 - edit.weight) * x[..., start:behind, :]
    tokens = tokens.expand(*x.shape[:-2], count, x.shape[-1])
    parts = (x[..., :start, :], tokens, x[..., behind:, :])
    # torch.export (2.14) treats the batch size as constant where empty parts are joined.
    return torch.cat([p for p in parts if p.shape[-2]], dim=-2)


def check_text_edit(edit: Edit) -> None:
    """Raise ValueError unless a causal text tower can take an edit."""
    if edit.how == 'append' or not edit.stays or edit.pre_norm or edit.evidence is not None:
        raise ValueError(
            "In the text tower tokens enter by 'replace' or 'insert' and stay; 'append', "
            'stays=False, pre_norm and evidence are for visual prompts.'
        )
