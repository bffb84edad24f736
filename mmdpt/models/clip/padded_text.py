"""Encode prompts of a text tower in which every token sees every other.

SigLIP's text tower is not causal, and it attends to the padding, too. So no
token is the same for two classes, nothing can be shared, and each prompt goes
through the tower whole, filled up to the context length: time and memory grow
with classes x context length (x images where the context depends on them).
"""

import torch
import torch.nn as nn
from torch.utils.checkpoint import checkpoint

from .blocks import run_block
from .edits import apply_edit, check_text_edit
from .packing import PackedPrompts

CLASSES_AT_ONCE = 64  # where no gradient is needed, to bound the memory


def encode_whole(tower: nn.Module, prompts: PackedPrompts) -> torch.Tensor:
    """Encode prompts, each by itself and filled up with padding.

    Args:
        tower (TextTower): The text tower.
        prompts (PackedPrompts): The prompts of C classes.

    Returns:
        Tensor: Text features (G, C, E), not normalised.
    """
    parts = prompts.unpack()  # C of (G, S, W)
    places = prompts.packing.order[prompts.packing.rank]  # of these classes in the model
    if prompts.classes is not None:
        parts, places = [parts[c] for c in prompts.classes], places[list(prompts.classes)]
    at_once = max(1, CLASSES_AT_ONCE // len(prompts.prefix))
    some = len(parts) if torch.is_grad_enabled() else at_once
    return torch.cat(
        [
            _encode(tower, parts[i : i + some], prompts, places[i : i + some])
            for i in range(0, len(parts), some)
        ],
        dim=1,
    )


def _encode(
    tower: nn.Module, parts: list[torch.Tensor], prompts: PackedPrompts, classes: torch.Tensor
) -> torch.Tensor:
    """Features (G, n, E) of the prompts of n classes."""
    length = tower.context_length
    fill = tower.token_embedding.weight[tower.padding].to(parts[0].dtype)
    x = torch.stack(
        [torch.cat([p, fill.expand(len(p), length - p.shape[1], -1)], dim=1) for p in parts], dim=1
    )  # (G, n, L, W)
    ends = torch.tensor([p.shape[1] - 1 for p in parts], device=x.device)
    ends = tower.pooled(ends).repeat(len(x))  # (G n,)
    shape, start = x.shape[:2], len(tower.start)
    x = x + tower.positional_embedding.to(x.dtype)
    for depth, block in enumerate(tower.blocks):
        edit = prompts.at_block(depth)
        if edit is not None:
            check_text_edit(edit)
            before = x.shape[2]
            if edit.tokens.dim() == 3:
                edit = edit._replace(tokens=edit.tokens[classes])
            x = apply_edit(edit, x, start)
            ends = ends + (ends >= start) * (x.shape[2] - before)
        if depth == len(tower.blocks) - 1:
            break
        x = x.flatten(0, 1)
        if tower.checkpointing and torch.is_grad_enabled():
            x = checkpoint(run_block, block, x, use_reentrant=False)
        else:
            x = run_block(block, x)
        x = x.unflatten(0, shape)
    x = run_block(tower.blocks[-1], _in_front(x.flatten(0, 1), ends), read=1)[:, 0]
    return tower.project(tower.ln_final(x)).unflatten(0, shape)


def _in_front(x: torch.Tensor, ends: torch.Tensor) -> torch.Tensor:
    """Swap the token that is read with the first one: (N, L, W). The order
    does not matter any more, positions have been added."""
    order = torch.arange(x.shape[1], device=x.device).repeat(len(x), 1)
    order[:, 0] = ends
    order.scatter_(1, ends[:, None], 0)
    return torch.take_along_dim(x, order[..., None], dim=1)
