"""One pass through an image tower's blocks, with prompts."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.nn as nn

from .blocks import run_block, spread
from .edits import Edit, apply_edit


class ImageFeatures(NamedTuple):
    """What an image tower gives.

    Attributes:
        feature (Tensor): Image features (B, E), not normalised; out of
            :func:`through_blocks`: the tokens that are read, (B, read, D).
        evidence (Tensor, optional): Class evidence of the M class-aware
            layers, (M, B, K, C).
        prompt_tokens (Tensor, optional): What became of the prompt's tokens,
            (B, n, D), if the prompt gives them.
        pooled (Tensor, optional): What the projection to the joint space
            maps, (B, D), where the tower has one.
    """

    feature: torch.Tensor
    evidence: torch.Tensor | None = None
    prompt_tokens: torch.Tensor | None = None
    pooled: torch.Tensor | None = None

    def to(self, dtype: torch.dtype) -> 'ImageFeatures':
        """With feature and prompt tokens of a type."""
        tokens = self.prompt_tokens
        tokens = None if tokens is None else tokens.to(dtype)
        return self._replace(feature=self.feature.to(dtype), prompt_tokens=tokens)


def through_blocks(
    blocks: nn.ModuleList,
    tokens: torch.Tensor,
    prompt: Any = None,
    classes: torch.Tensor | None = None,
    pre_norm: nn.Module | None = None,
    run: Callable = run_block,
    read: int | None = 1,
    first: int = 0,
) -> ImageFeatures:
    """Walk the blocks and ask the prompt, before each, what enters with the
    image.

    Args:
        blocks (nn.ModuleList): The tower's blocks.
        tokens (Tensor): Class token and patches entering block ``first``,
            (B, N, D).
        prompt (VisualPrompt, optional): What enters; None for the plain tower.
        classes (Tensor, optional): Features of the selected classes,
            (B, K, E), for class-aware prompts.
        pre_norm (nn.Module, optional): The tower's ``ln_pre``, for prompts
            that pass through it.
        run (Callable): Runs one block, as :func:`run_block` does.
        read (int, optional): How many tokens are read after the last block;
            None for all.
        first (int): The block to start at.

    Returns:
        ImageFeatures: These tokens, (B, read or N, D), the class evidence,
        and what became of the prompt's tokens.
    """
    count, last, evidence, outputs = tokens.shape[1], len(blocks) - 1, [], None
    given = prompt is not None and 'prompt_tokens' in prompt.gives
    staying = tokens[:, :0]  # of the prompt, (B, P, D)
    for depth in range(first, len(blocks)):
        edit = None if prompt is None else prompt.at_block(depth, tokens, classes)
        if depth == last and edit is not None and edit.how == 'append' and not given:
            edit = edit._replace(stays=False)  # one copy for all images is enough
        staying, leaving = enter(edit, staying, pre_norm)
        if edit is not None and edit.evidence is not None:
            evidence.append(edit.evidence)
        if depth < last:
            x = run(blocks[depth], joined(tokens, staying), leaving)
            tokens, staying = x[:, :count], x[:, count:]
        elif given:
            # The order of tokens does not matter: what is read comes first.
            own = staying.shape[1]
            wanted = None if read is None else own + read
            x = run(blocks[depth], joined(staying, tokens), leaving, read=wanted)
            outputs, tokens = x[:, :own], x[:, own:]
        else:
            if staying.shape[1]:
                leaving = staying if leaving is None else joined(staying, leaving)
            tokens = run(blocks[depth], tokens, leaving, read=read)
    return ImageFeatures(tokens, torch.stack(evidence) if evidence else None, outputs)


def enter(
    edit: Edit | None, staying: torch.Tensor, pre_norm: nn.Module | None
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Apply an edit to the prompt tokens that enter a block.

    Args:
        edit (Edit, optional): The prompt's answer.
        staying (Tensor): Outputs of prompt tokens of the block before,
            (B, P, D); P may be 0.
        pre_norm (nn.Module, optional): The tower's ``ln_pre``.

    Returns:
        tuple: The tokens whose outputs go on, (B, P', D), and those that
        leave after the block, (1, R or B, n, D), or None.
    """
    if edit is None:
        return staying, None
    tokens = edit.tokens.to(staying.dtype)
    if edit.pre_norm:
        tokens = pre_norm(tokens)
    edit = edit._replace(tokens=tokens)
    if edit.stays:
        if tokens.dim() == 3:
            edit = edit._replace(tokens=spread(tokens, staying.shape[0]))
        return apply_edit(edit, staying, 0), None
    return staying, tokens if tokens.dim() == 3 else tokens[None]


def joined(tokens: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    """Tokens (B, N, D) and behind them others, (1, R or B, P, D); P may be 0."""
    if not others.shape[1]:
        return tokens
    return torch.cat([tokens, spread(others, tokens.shape[0])], dim=1)


def below(
    blocks: nn.ModuleList, tokens: torch.Tensor, depth: int, run: Callable = run_block
) -> torch.Tensor:
    """Tokens (B, N, D) that enter block ``depth`` of the plain tower."""
    for block in blocks[:depth]:
        tokens = run(block, tokens)
    return tokens


def check_image_size(images: torch.Tensor, size: tuple[int, int]) -> None:
    """Raise ValueError unless images (B, 3, H, W) have the tower's size."""
    if tuple(images.shape[1:]) != (3, *size):
        raise ValueError(
            f'The image tower takes images of 3x{size[0]}x{size[1]}, but got '
            f'{"x".join(map(str, images.shape[1:]))}: set the size in the '
            'pipelines (or choose another arch).'
        )
