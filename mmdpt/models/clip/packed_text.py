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

from functools import partial

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.checkpoint import checkpoint

from .blocks import add_mlp, first_tuned, project, split_heads
from .edits import Edit, apply_edit, check_text_edit
from .packed_attention import PackedAttention, attend_last, packed_attention
from .packing import Layout, PackedPrompts, later_tokens

TOKENS_ON_CPU = 2048  # at once, see tokens_at_once
TOKENS_ELSEWHERE = 65_536


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
    edits = [prompts.at_block(d) if d >= first else None for d in range(len(tower.blocks))]
    found = [
        _encode_part(tower, *part, edits, first)
        for part in cut(x, layout, order, tokens_at_once(tower, x))
    ]
    ends = torch.cat(found, dim=1).index_select(1, rank)
    return tower.project(tower.ln_final(ends))


def _encode_part(tower, x, layout, order, edits, first):
    """What the last block makes of the ends of text, (G, C, W), shorter prompts first."""
    saves = tower.checkpointing and torch.is_grad_enabled()
    run = partial(checkpoint, use_reentrant=False) if saves else _call
    for depth, block in enumerate(tower.blocks):
        if depth < first:
            continue
        if edits[depth] is not None:
            check_text_edit(edits[depth])
            x, layout = edit_packed(edits[depth], x, layout, order, len(tower.start))
        x = x.to(block.attn.in_proj_weight.dtype)  # where the tower learns: wider
        if depth == len(tower.blocks) - 1:
            break
        x = run(_run_block, block, x, layout)
    return run(_run_last_block, tower.blocks[-1], x, layout)


def tokens_at_once(tower: nn.Module, x: torch.Tensor) -> int:
    """How many of the classes' own tokens go through the tower together.

    On a CPU as many as fit its caches: memory for larger tensors is mapped, and
    filled with zeros, anew for each of them. Elsewhere all, unless memory is to be
    saved. A tower that itself learns takes all: its dropout depends on the place
    of a token, and its weights' gradients are summed once.
    """
    learns = torch.is_grad_enabled() and first_tuned(tower.blocks) < len(tower.blocks)
    if learns or torch.compiler.is_compiling():
        return x.shape[1]
    if x.device.type == 'cpu':
        return TOKENS_ON_CPU // len(x)
    saves = tower.checkpointing or not torch.is_grad_enabled()
    return TOKENS_ELSEWHERE // len(x) if saves else x.shape[1]


def cut(
    x: torch.Tensor, layout: Layout, order: torch.Tensor, most: int
) -> list[tuple[torch.Tensor, Layout, torch.Tensor]]:
    """Cut packed tokens (G, P + T, W) into parts of at most ``most`` own tokens,
    the shared ones in front of each, with their layouts and classes."""
    layouts = layout.parts(most)
    if len(layouts) == 1:
        return [(x, layout, order)]
    shared, *own = x.split([layout.shared, *(part.own for part in layouts)], dim=1)
    orders = order.split([len(part.last) for part in layouts])
    parts = [torch.cat([shared, tokens], dim=1) for tokens in own]
    return list(zip(parts, layouts, orders))


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
        x, states = embed(tower, prompts), []
        for part, layout, _ in cut(x, packing.layout(), packing.order, tokens_at_once(tower, x)):
            for block in tower.blocks[:depth]:
                part = _run_block(block, part, layout)
            states.append(part[:, layout.shared if states else 0 :])
        x = torch.cat(states, dim=1)
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
        x, shared = torch.cat([prefix, x[:, shared:]], dim=1), prefix.shape[1]
        return x, layout._replace(shared=shared, future=_enough(layout.future, shared))
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
    longest = max(length for length, _ in groups)
    return x, Layout(start, groups, last, _enough(layout.future, longest))


def _enough(future, count):
    return future if count <= len(future) else later_tokens(count, future.device)


def _call(function, *args):
    return function(*args)


def _run_block(block, x, layout):
    qkv = project(block.attn, block.ln_1(x))
    arguments = qkv, layout.shared, layout.groups, block.attn.num_heads, layout.future
    if torch.jit.is_tracing():  # FLOPs are counted so, without a backward pass
        with torch.no_grad():
            mixed = packed_attention(*arguments)
    else:
        mixed = PackedAttention.apply(*arguments)
    return _close(block, x, mixed)


def _run_last_block(block, x, layout):
    """Only the end of text is read: queries, output projection and MLP are
    computed for it alone. Returns (G, C, W), shorter prompts first."""
    normed = block.ln_1(x)
    ends = layout.last + layout.shared
    query = project(block.attn, normed.index_select(1, ends), last=1)
    key, value = project(block.attn, normed, first=1).chunk(2, -1)
    query, key, value = (split_heads(block.attn, t) for t in (query, key, value))
    mixed = attend_last(query, key, value, layout.shared, layout.groups)
    return _close(block, x.index_select(1, ends), mixed.transpose(1, 2).flatten(2))


def _close(block, x, mixed):
    return add_mlp(block, x + block.ls_1(block.attn.out_proj(mixed)))
