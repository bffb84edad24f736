"""What enters each block of the image tower, and the weights it leads to."""

import torch
import torch.nn as nn

from mmdpt.models.clip.blocks import project, split_heads


def class_token_attention(
    block: nn.Module, tokens: torch.Tensor, extra: torch.Tensor | None = None
) -> torch.Tensor:
    """What the class token of a transformer block attends to.

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
