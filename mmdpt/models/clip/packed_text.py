"""Encode many class prompts with their shared prefix computed once.

CLIP's text tower is causal and reads its feature off the end-of-text token.
So nothing after that token matters, and tokens that all prompts have in common
at the front (start of text, shared context) are the same at every layer, for
every class. They are computed once; each class runs only its own few tokens,
which attend to the prefix's keys and values without a copy of them.

All tokens, the prefix and every class's own, form one matrix for the linear
layers. Classes are sorted by their number of own tokens, so that attention
among own tokens runs in groups of equal length, and nothing is padded.
"""

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.checkpoint import checkpoint

from .blocks import add_mlp, first_tuned, project, split_heads
from .edits import Edit, apply_edit, check_text_edit
from .packing import Layout, PackedPrompts, later_tokens


def encode(tower: nn.Module, prompts: PackedPrompts) -> torch.Tensor:
    """Encode packed prompts.

    Args:
        tower (TextTower): The text tower.
        prompts (PackedPrompts): The prompts of C classes, or of those that it
            names.

    Returns:
        Tensor: Text features (G, C, E), not normalised; equal, gradients
        included, to encoding every prompt by itself.
    """
    packing = prompts.packing
    layout, rank, order = packing.layout(), packing.rank, packing.order
    first = prompts.constant_below
    if first:
        first = min(first, first_tuned(tower.blocks))
    x = constant_states(tower, prompts, first) if first else embed(tower, prompts)
    if prompts.classes is not None:
        rows, rank, order, layout = packing.part(prompts.classes)
        x = x.index_select(1, rows)
    for depth, block in enumerate(tower.blocks):
        if depth < first:
            continue
        edit = prompts.at_block(depth)
        if edit is not None:
            check_text_edit(edit)
            x, layout = edit_packed(edit, x, layout, order, len(tower.start))
        x = x.to(block.attn.in_proj_weight.dtype)  # where the tower learns: wider
        if depth == len(tower.blocks) - 1:
            break
        if tower.checkpointing and torch.is_grad_enabled():
            x = checkpoint(_run_block, block, x, layout, use_reentrant=False)
        else:
            x = _run_block(block, x, layout)
    ends = _run_last_block(tower.blocks[-1], x, layout).index_select(1, rank)
    return tower.project(tower.ln_final(ends))


def embed(tower: nn.Module, prompts: PackedPrompts) -> torch.Tensor:
    """What enters the first block, (G, P + T, W), positions included."""
    prefix, own = prompts.prefix, prompts.own
    x = torch.cat([prefix, own.expand(len(prefix), -1, -1)], dim=1)
    return x + tower.positional_embedding[prompts.packing.position].to(x.dtype)


@torch.no_grad()
def constant_states(tower: nn.Module, prompts: PackedPrompts, depth: int) -> torch.Tensor:
    """What enters block ``depth`` when nothing below it is learnt:
    computed once, and again only for another type or device.

    Returns:
        Tensor: (1, P + T, W).
    """
    packing, like = prompts.packing, prompts.own
    key = (depth, like.dtype, like.device, torch.is_autocast_enabled(like.device.type))
    if key not in packing.constant:
        x, layout = embed(tower, prompts), packing.layout()
        for block in tower.blocks[:depth]:
            x = _run_block(block, x, layout)
        # an evaluation without autocast leaves the training's states alone
        kept = {k: v for k, v in packing.constant.items() if k[:3] == key[:3]}
        packing.constant = {**kept, key: x}
    return packing.constant[key]


def edit_packed(
    edit: Edit, x: torch.Tensor, layout: Layout, order: torch.Tensor, start: int
) -> tuple[torch.Tensor, Layout]:
    """Apply an edit to packed tokens.

    One that is the same for all classes, and touches shared tokens only,
    leaves them shared; any other ends the sharing behind the start of text.

    Args:
        edit (Edit): The edit.
        x (Tensor): Tokens entering the block, (G, P + T, W).
        layout (Layout): Of ``x``.
        order (Tensor): The classes, shorter prompts first, (C,).
        start (int): Number of tokens in front of the edited ones.

    Returns:
        tuple: The edited tokens, and their layout.
    """
    shared, count = layout.shared, edit.tokens.shape[-2]
    reach = start if edit.how == 'insert' else start + count
    if edit.tokens.dim() == 2 and shared >= reach:
        prefix = apply_edit(edit, x[:, :shared], start)
        return torch.cat([prefix, x[:, shared:]], dim=1), layout._replace(shared=prefix.shape[1])
    tail = x[:, None, start:shared]
    tokens = edit.tokens
    if tokens.dim() == 3:
        # Unlike indexing, embedding has a deterministic backward pass.
        tokens = F.embedding(order, tokens.flatten(1)).unflatten(1, tokens.shape[1:])
    parts, first = [], 0
    for part in layout.split(x):
        own = torch.cat([tail.expand(-1, part.shape[1], -1, -1), part], dim=2)
        mine = tokens if tokens.dim() == 2 else tokens[first : first + part.shape[1]]
        parts.append(apply_edit(edit._replace(tokens=mine), own, 0))
        first += part.shape[1]
    groups = [(p.shape[2], p.shape[1]) for p in parts]
    more = groups[0][0] - layout.groups[0][0]  # tokens, for every class alike
    last = layout.last + more * torch.arange(1, first + 1, device=x.device)
    x = torch.cat([x[:, :start], *(p.flatten(1, 2) for p in parts)], dim=1)
    future, longest = layout.future, max(length for length, _ in groups)
    if longest > len(future):
        future = later_tokens(longest, x.device)
    return x, Layout(start, groups, last, future)


def _run_block(block, x, layout):
    qkv = project(block.attn, block.ln_1(x))
    query, key, value = qkv.unflatten(2, (3, -1)).unbind(2)
    shared = layout.shared
    outputs = (
        [
            F.scaled_dot_product_attention(
                *(split_heads(block.attn, t[:, :shared]) for t in (query, key, value)),
                is_causal=True,
            )
        ]
        if shared
        else []
    )
    outputs += _attend_groups(block, query[:, shared:], key, value, layout, every=True)
    return _close(block, x, outputs)


def _run_last_block(block, x, layout):
    """Only the end of text is read: queries, output projection and MLP are
    computed for it alone. Returns (G, C, W), shorter prompts first."""
    normed = block.ln_1(x)
    ends = layout.last + layout.shared
    query = project(block.attn, normed.index_select(1, ends), last=1)
    key, value = project(block.attn, normed, first=1).chunk(2, -1)
    outputs = _attend_groups(block, query, key, value, layout, every=False)
    return _close(block, x.index_select(1, ends), outputs)


def _close(block, x, outputs):
    mixed = torch.cat(outputs, dim=2).transpose(1, 2).flatten(2)
    return add_mlp(block, x + block.ls_1(block.attn.out_proj(mixed)))


def _attend_groups(block, query, key, value, layout, every):
    """Attention of all classes, group by group of equal length.

    Args:
        block (nn.Module): Gives the number of heads H.
        query (Tensor): Of all own tokens (G, T, W), or of the last token of
            each class (G, C, W), shorter classes first.
        key (Tensor): Of prefix and own tokens, (G, P + T, W).
        value (Tensor): The same.
        layout (Layout): Of the keys.
        every (bool): Whether all own tokens ask.

    Returns:
        list[Tensor]: One (G, H, queries, d) per group.
    """
    shared = layout.shared
    query, key, value = (split_heads(block.attn, t) for t in (query, key, value))
    query = query * query.shape[-1] ** -0.5
    outputs, start, first = [], shared, 0
    for length, count in layout.groups:
        stop, queries = start + length * count, length if every else 1
        outputs.append(
            _attend_group(
                query[:, :, first : first + count * queries].unflatten(2, (count, queries)),
                key[:, :, start:stop].unflatten(2, (count, length)),
                value[:, :, start:stop].unflatten(2, (count, length)),
                key[:, :, :shared],
                value[:, :, :shared],
                layout.future[:length, :length] if every else None,
            )
        )
        start, first = stop, first + count * queries
    return outputs


def _attend_group(query, key, value, prefix_key, prefix_value, future):
    """Attention of n classes with S own tokens each.

    Args:
        query (Tensor): (G, H, n, S, d), or (G, H, n, 1, d) for the last token.
        key (Tensor): (G, H, n, S, d).
        value (Tensor): (G, H, n, S, d).
        prefix_key (Tensor): (G, H, P, d); never copied for the classes.
        prefix_value (Tensor): (G, H, P, d).
        future (Tensor, optional): Own tokens that each may not see, (S, S).

    Returns:
        Tensor: (G, H, n * S or n, d).
    """
    shared = prefix_key.shape[2]
    to_prefix = query.flatten(2, 3) @ prefix_key.transpose(-1, -2)
    to_own = query @ key.transpose(-1, -2)  # (G, H, n, S, S)
    if future is not None and len(future) > 1:
        to_own = to_own.masked_fill(future, float('-inf'))
    scores = torch.cat([to_prefix.unflatten(2, query.shape[2:4]), to_own], dim=-1).softmax(dim=-1)
    to_prefix, to_own = scores.split([shared, key.shape[3]], dim=-1)
    if query.shape[3] == 1:
        # torch.compile (2.14, CPU) confuses the views' strides with their size
        # there, and gives wrong gradients of the values.
        to_prefix, to_own = to_prefix.contiguous(), to_own.contiguous()
    return to_prefix.flatten(2, 3) @ prefix_value + (to_own @ value).flatten(2, 3)
