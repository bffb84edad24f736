"""One pass through an image tower's blocks, with prompts."""

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn as nn

from .blocks import run_block


class ImageFeatures(NamedTuple):
    """What an image tower gives.

    Attributes:
        feature (Tensor): Image features (B, E), not normalised; out of
            :func:`through_blocks`: the tokens that are read, (B, read, D).
        evidence (list[Tensor]): Class evidence (B, K, C), one entry per
            class-aware layer.
        prompt_tokens (Tensor, optional): What became of the prompt's tokens,
            (B, n, D), if the prompt ``gives_tokens``.
    """

    feature: torch.Tensor
    evidence: list[torch.Tensor]
    prompt_tokens: torch.Tensor | None = None


def through_blocks(
    blocks: nn.ModuleList,
    tokens: torch.Tensor,
    prompt=None,
    classes: torch.Tensor | None = None,
    pre_norm: nn.Module | None = None,
    run: Callable = run_block,
    read: int | None = 1,
) -> 'ImageFeatures':
    """Walk the blocks and ask the prompt, before each, what enters with the
    image.

    Args:
        blocks (nn.ModuleList): The tower's blocks.
        tokens (Tensor): Class token and patches, (B, N, D).
        prompt (VisualPrompt, optional): What enters; None for the plain tower.
        classes (Tensor, optional): Features of the selected classes,
            (B, K, E), for class-aware prompts.
        pre_norm (nn.Module, optional): Applied to what enters the first block
            if the prompt asks for it.
        run (Callable): Runs one block, as :func:`run_block` does.
        read (int, optional): How many tokens are read after the last block;
            None for all.

    Returns:
        ImageFeatures: These tokens, (B, read or N, D), the class evidence of
        every class-aware layer, and what became of the prompt's tokens.
    """
    num_tokens, previous, evidence, given = tokens.shape[1], None, [], None
    for depth, block in enumerate(blocks):
        last = depth == len(blocks) - 1
        extra, logits = (None, None) if prompt is None else prompt(depth, tokens, previous, classes)
        if logits is not None:
            evidence.append(logits)
        if extra is not None:
            extra = extra.to(tokens.dtype)
            if depth == 0 and prompt.pre_norm:
                extra = pre_norm(extra)
        if extra is not None and not last and prompt.stays(depth):
            extra = extra.expand(tokens.shape[0], -1, -1)
            tokens = run(block, torch.cat([tokens, extra], dim=1))
            previous = tokens[:, num_tokens:]
            tokens = tokens[:, :num_tokens]
        elif last and extra is not None and prompt.gives_tokens:
            # The order of tokens does not matter: what is read comes first.
            extra = extra.expand(tokens.shape[0], -1, -1)
            count = extra.shape[1]
            tokens = run(
                block,
                torch.cat([extra, tokens], dim=1),
                read=None if read is None else count + read,
            )
            given, tokens = tokens.split([count, tokens.shape[1] - count], dim=1)
        else:
            tokens = run(block, tokens, extra, read=read if last else None)
            previous = None
    return ImageFeatures(tokens, evidence, given)


def check_image_size(images: torch.Tensor, size: tuple[int, int]) -> None:
    """Raise ValueError unless images (B, 3, H, W) have the tower's size."""
    if tuple(images.shape[1:]) != (3, *size):
        raise ValueError(
            f'The image tower takes images of 3x{size[0]}x{size[1]}, but got '
            f'{"x".join(map(str, images.shape[1:]))}: set the size in the '
            'pipelines (or choose another arch).'
        )
