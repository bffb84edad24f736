"""open_clip's transformer block, computed only as far as it is read.

No query and no MLP for a token whose output nobody uses. That is exact.
"""

import torch
import torch.nn as nn
import torch.nn.functional as F


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


def first_tuned(blocks: nn.ModuleList) -> int:
    """The first block that itself learns; the number of blocks if none does."""
    for depth, block in enumerate(blocks):
        if getattr(block, 'tuned', False) or getattr(block.attn, 'low_rank', None) is not None:
            return depth
    return len(blocks)


def add_mlp(block: nn.Module, tokens: torch.Tensor) -> torch.Tensor:
    """The second half of a block: tokens + MLP(LayerNorm(tokens)).

    QuickGELU, x sigmoid(1.702 x), is computed as silu(1.702 x) / 1.702, which
    keeps one tensor for the backward pass where the plain form keeps two.
    """
    mlp = block.mlp
    hidden = mlp.c_fc(block.ln_2(tokens))
    if type(mlp.gelu).__name__ == 'QuickGELU':
        # Not in place: that would copy the gradient twice, c_fc giving a view.
        hidden = F.silu(hidden * 1.702).mul_(1 / 1.702)
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
    tokens = tokens.to(attn.in_proj_weight.dtype)  # where the tower learns: wider

    normed = block.ln_1(tokens)
    if read is None:
        query, key, value = project(attn, normed).chunk(3, -1)
    else:
        tokens = tokens[:, :read]
        query = project(attn, normed[:, :read], last=1)
        key, value = project(attn, normed, first=1).chunk(2, -1)
    if extra is not None:
        extra_kv = project(attn, block.ln_1(extra.to(tokens.dtype)), first=1)
        extra_kv = extra_kv.expand(tokens.shape[0], -1, -1).chunk(2, -1)
        key = torch.cat([key, extra_kv[0]], dim=1)
        value = torch.cat([value, extra_kv[1]], dim=1)
    mixed = F.scaled_dot_product_attention(*(split_heads(attn, t) for t in (query, key, value)))
    mixed = attn.out_proj(mixed.transpose(1, 2).flatten(2))
    return add_mlp(block, tokens + block.ls_1(mixed))
