"""What enters each block of the image tower, and the weights it leads to."""

import torch
import torch.nn as nn

from mmdpt.models.clip.blocks import project, split_heads


def class_token_attention(
    block: nn.Module, tokens: torch.Tensor, extra: torch.Tensor | None = None
) -> torch.Tensor:
    """Whom the class token of a transformer block attends to.

    Args:
        block (nn.Module): open_clip's ``ResidualAttentionBlock``.
        tokens (Tensor): What enters it, the class token first, (B, N, D).
        extra (Tensor, optional): Prompts that enter with them, (B or 1, P, D).

    Returns:
        Tensor: Weights of each head, which sum to 1, (B, H, N + P).
    """
    normed = block.ln_1(tokens)
    query = project(block.attn, normed[:, :1], last=1)
    key = project(block.attn, normed, first=1, last=2)
    if extra is not None:
        more = project(block.attn, block.ln_1(extra), first=1, last=2)
        key = torch.cat([key, more.expand(len(key), -1, -1)], dim=1)
    query, key = (split_heads(block.attn, t) for t in (query, key))
    scores = query @ key.transpose(-2, -1) * key.shape[-1] ** -0.5
    wide = torch.promote_types(scores.dtype, torch.float32)
    return scores.softmax(dim=-1, dtype=wide)[:, :, 0]


class Recorder:
    """Takes a visual prompt's place in the tower and notes what enters each
    block, so the model itself stays as it is.

    Args:
        prompt (VisualPrompt, optional): Answers the tower; None for none.
        pre_norm (nn.Module): The tower's ``ln_pre``.

    Attributes:
        entered (list): For each block its tokens (B, N, D), and the prompts
            that enter with them, (B or 1, P, D) or None.
    """

    pre_norm = False  # done here, so that the notes hold what really enters
    gives_tokens = False

    def __init__(self, prompt: nn.Module | None, pre_norm: nn.Module):
        self.prompt, self.norm, self.entered = prompt, pre_norm, []

    def __call__(self, depth, tokens, previous, classes):
        extra, evidence = (
            (None, None) if self.prompt is None else self.prompt(depth, tokens, previous, classes)
        )
        if extra is not None:
            extra = extra.to(tokens.dtype)
            if depth == 0 and self.prompt.pre_norm:
                extra = self.norm(extra)
        self.entered.append((tokens, extra))
        return extra, evidence

    def stays(self, depth: int) -> bool:
        return self.prompt is not None and self.prompt.stays(depth)
