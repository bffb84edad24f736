"""open_clip's transformer block, computed only as far as it is read.

No query and no MLP for a token whose output nobody uses. That is exact.
"""

import torch
import torch.nn as nn
import torch.nn.functional as F

from .quick_gelu import FACTOR, FrozenQuickGELU, is_frozen_quick_gelu, weights_of


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
    mlp, normed = block.mlp, block.ln_2(tokens)
    if is_frozen_quick_gelu(mlp, normed):
        found = FrozenQuickGELU.apply(normed.flatten(0, -2), *weights_of(mlp)).view_as(normed)
        return tokens + block.ls_2(found)
    hidden = _linear(mlp.c_fc, normed)
    if type(mlp.gelu).__name__ == 'QuickGELU':
        # Not in place: that would copy the gradient twice, c_fc giving a view.
        hidden = F.silu(hidden * FACTOR).mul_(1 / FACTOR)
    else:
        hidden = mlp.gelu(hidden)
    return tokens + block.ls_2(_linear(mlp.c_proj, hidden))


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


def _linear(layer: nn.Module, tokens: torch.Tensor) -> torch.Tensor:
    if isinstance(layer, nn.Linear):
        return F.linear(tokens, layer.weight, layer.bias)
    return layer(tokens)


def split_heads(attn: nn.Module, tokens: torch.Tensor) -> torch.Tensor:
    """Give each head its part: (B, L, D) to (B, H, L, D / H)."""
    return tokens.unflatten(-1, (attn.num_heads, -1)).transpose(1, 2)


def spread(tokens: torch.Tensor, count: int) -> torch.Tensor:
    """Give each image its tokens.

    Args:
        tokens (Tensor): Of each image, (count, P, D), or of all, (1, P, D), or
            of R equal parts of the batch, (R, P, D).
        count (int): Number of images.

    Returns:
        Tensor: (count, P, D).
    """
    if tokens.shape[0] == 1 or tokens.shape[0] == count:
        return tokens.expand(count, -1, -1)
    return tokens[:, None].expand(-1, count // tokens.shape[0], -1, -1).flatten(0, 1)


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
            after the block, (B, R or 1, P, D), see :func:`spread`; what several
            images share is computed once.
        read (int, optional): Compute only the first ``read`` outputs.

    Returns:
        Tensor: (B, L or read, D).
    """
    attn = block.attn
    tokens = tokens.to(attn.in_proj_weight.dtype)  # where the tower learns: wider

    normed = block.ln_1(tokens)
    if read == 1 and _reads_by_query(attn, tokens):
        if extra is not None:
            extra = spread(block.ln_1(extra.to(tokens.dtype)), tokens.shape[0])
            normed = torch.cat([normed, extra], dim=1)
        return _close(block, tokens[:, :1], read_one(attn, normed))
    if read is None:
        query, key, value = project(attn, normed).chunk(3, -1)
    else:
        tokens = tokens[:, :read]
        query = project(attn, normed[:, :read], last=1)
        key, value = project(attn, normed, first=1).chunk(2, -1)
    if extra is not None:
        extra_kv = project(attn, block.ln_1(extra.to(tokens.dtype)), first=1)
        extra_kv = spread(extra_kv, tokens.shape[0]).chunk(2, -1)
        key = torch.cat([key, extra_kv[0]], dim=1)
        value = torch.cat([value, extra_kv[1]], dim=1)
    mixed = attend(*(split_heads(attn, t) for t in (query, key, value)))
    return _close(block, tokens, mixed.transpose(1, 2).flatten(2))


def attend(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """Scaled dot-product attention of each head without a mask.

    Args:
        query (Tensor): (B, H, L, d).
        key (Tensor): (B, H, N, d).
        value (Tensor): The same.

    Returns:
        Tensor: (B, H, L, d).
    """
    if query.dtype == torch.bfloat16 and query.device.type == 'cpu':
        # PyTorch's own (2.14) takes 2.6 times as long there, backward pass included
        return (query * query.shape[-1] ** -0.5 @ key.mT).softmax(-1) @ value
    return F.scaled_dot_product_attention(query, key, value)


def _close(block, tokens, mixed):
    mixed = _linear(block.attn.out_proj, mixed)
    return add_mlp(block, tokens + block.ls_1(mixed))


def _reads_by_query(attn, tokens):
    # in half precision the longer sums round more
    wide = tokens.dtype in (torch.float32, torch.float64)
    return wide and tokens.device.type == 'cpu' and getattr(attn, 'low_rank', None) is None


def read_one(attn: nn.Module, tokens: torch.Tensor) -> torch.Tensor:
    """Attention of the first token alone, without keys and values.

    Of one query q, the score of a token x is q (K x + k) = (q K) x + a constant, which softmax
    drops, and the sum of the values is V (sum of w x) + v. So K and V are applied once per
    image and head, not to every token. That is exact.

    Args:
        attn (nn.Module): The block's attention.
        tokens (Tensor): Normalised, (B, N, D).

    Returns:
        Tensor: (B, 1, D), before the output projection.
    """
    width, heads = tokens.shape[-1], attn.num_heads
    query = project(attn, tokens[:, 0], last=1) * (width // heads) ** -0.5  # (B, D)
    _, keys, values = attn.in_proj_weight.unflatten(0, (3, heads, -1))  # (H, d, D) each
    asked = torch.einsum('bhe,hed->bhd', query.unflatten(-1, (heads, -1)), keys)
    weights = (asked @ tokens.transpose(1, 2)).softmax(dim=-1)  # (B, H, N)
    found = torch.einsum('bhd,hed->bhe', weights @ tokens, values).flatten(1)
    return (found + attn.in_proj_bias[2 * width :])[:, None]
