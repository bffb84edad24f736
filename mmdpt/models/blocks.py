"""open_clip's transformer blocks, walked with prompts.

Only what is read is computed: no query and no MLP for a token whose output
nobody uses. That is exact.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn as nn
import torch.nn.functional as F


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


def check_blocks(blocks: nn.ModuleList, tower: str) -> None:
    """Raise ValueError unless all blocks are open_clip's standard ones."""
    from open_clip.transformer import ResidualAttentionBlock

    for i, block in enumerate(blocks):
        if type(block) is not ResidualAttentionBlock:
            raise ValueError(
                f'Block {i} of the {tower} is a {type(block).__name__}: '
                'prompts are supported in ResidualAttentionBlock only; use a '
                'standard CLIP such as ViT-B-16-quickgelu.'
            )


def add_mlp(block: nn.Module, tokens: torch.Tensor) -> torch.Tensor:
    """The second half of a block: tokens + MLP(LayerNorm(tokens)).

    QuickGELU, x sigmoid(1.702 x), is computed as silu(1.702 x) / 1.702, which
    keeps one tensor for the backward pass where the plain form keeps two.
    """
    mlp = block.mlp
    hidden = mlp.c_fc(block.ln_2(tokens))
    if type(mlp.gelu).__name__ == 'QuickGELU':
        hidden = F.silu(hidden.mul_(1.702)).mul_(1 / 1.702)
    else:
        hidden = mlp.gelu(hidden)
    return tokens + block.ls_2(mlp.c_proj(hidden))


def project(attn: nn.Module, tokens: torch.Tensor, first: int = 0, last: int = 3) -> torch.Tensor:
    """Queries, keys and values of tokens.

    Args:
        attn (nn.Module): The block's attention, perhaps with a low-rank
            update (:class:`LoRA`).
        tokens (Tensor): (..., D).
        first (int): 0 from the queries on, 1 from the keys on.
        last (int): 1 up to the queries, 3 up to the values.

    Returns:
        Tensor: (..., (last - first) D).
    """
    width = tokens.shape[-1]
    rows = slice(first * width, last * width)
    projected = F.linear(tokens, attn.in_proj_weight[rows], attn.in_proj_bias[rows])
    low_rank = getattr(attn, 'low_rank', None)
    if low_rank is None or not low_rank.enabled:
        return projected
    return projected + low_rank(tokens, first, last)


def split_heads(attn: nn.Module, tokens: torch.Tensor) -> torch.Tensor:
    """Give each head its part: (B, L, D) to (B, H, L, D / H)."""
    return tokens.unflatten(-1, (attn.num_heads, -1)).transpose(1, 2)


def run_block(
    block: nn.Module,
    tokens: torch.Tensor,
    extra: torch.Tensor | None = None,
    read: int | None = None,
) -> torch.Tensor:
    """Run one pre-norm transformer block without a mask.

    Args:
        block (nn.Module): open_clip's ``ResidualAttentionBlock``.
        tokens (Tensor): The tokens that go on, (B, L, D).
        extra (Tensor, optional): Tokens that are only attended to and leave
            after the block, (B or 1, P, D); with 1 they are computed once.
        read (int, optional): Compute only the first ``read`` outputs.

    Returns:
        Tensor: (B, L or read, D).
    """
    attn = block.attn

    normed = block.ln_1(tokens)
    if read is None:
        query, key, value = project(attn, normed).chunk(3, -1)
    else:
        tokens = tokens[:, :read]
        query = project(attn, normed[:, :read], last=1)
        key, value = project(attn, normed, first=1).chunk(2, -1)
    if extra is not None:
        extra_kv = project(attn, block.ln_1(extra), first=1)
        extra_kv = extra_kv.expand(tokens.shape[0], -1, -1).chunk(2, -1)
        key = torch.cat([key, extra_kv[0]], dim=1)
        value = torch.cat([value, extra_kv[1]], dim=1)
    mixed = F.scaled_dot_product_attention(*(split_heads(attn, t) for t in (query, key, value)))
    mixed = attn.out_proj(mixed.transpose(1, 2).flatten(2))
    return add_mlp(block, tokens + block.ls_1(mixed))


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
