"""Learnt LayerNorms of the towers' blocks (stage 1 of 2SFS)."""

from collections.abc import Sequence
from contextlib import contextmanager
from typing import Literal

import torch
import torch.nn as nn
import torch.nn.functional as F
from mmpretrain.registry import MODELS

from ..part import ModelInfo
from .base import Tuning

NAMES = (('ln_1', 'ln_2'), ('norm1', 'norm2'))  # open_clip's, timm's


class LearntAffine(nn.Module):
    """Weight and bias of one LayerNorm, from those of CLIP on.

    Args:
        norm (nn.LayerNorm): The frozen one.
    """

    def __init__(self, norm: nn.LayerNorm):
        super().__init__()
        self.enabled = True
        self.weight = nn.Parameter(norm.weight.detach().clone())
        self.bias = nn.Parameter(norm.bias.detach().clone())


class TunedNorm(nn.Module):
    """Stands in a block in place of its LayerNorm.

    Args:
        frozen (nn.LayerNorm): What it was.
        learnt (LearntAffine): What it is now.
    """

    learnt: LearntAffine

    def __init__(self, frozen: nn.LayerNorm, learnt: LearntAffine):
        super().__init__()
        self.frozen = frozen
        # Not as a submodule: what is learnt is in the tuning alone.
        object.__setattr__(self, 'learnt', learnt)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalise tokens (..., D), in the precision of what is learnt."""
        if not self.learnt.enabled:
            return self.frozen(x)
        weight, norm = self.learnt.weight, self.frozen
        normed = F.layer_norm(
            x.to(weight.dtype), norm.normalized_shape, weight, self.learnt.bias, norm.eps
        )
        return normed.to(x.dtype)


@MODELS.register_module()
class LayerNorms(Tuning):
    """Learnt LayerNorms in the blocks of the towers.

    Stage 1 of `Rethinking Few-Shot Adaptation of Vision-Language Models in Two
    Stages <https://arxiv.org/abs/2503.11609>`_ (2SFS): weight and bias of both
    LayerNorms of every block. Those outside the blocks stay frozen, as in the
    authors' code.

    Args:
        about (ModelInfo): The model.
        towers (Sequence[str]): Out of 'image', 'text'.
        first (dict, optional): By tower, the first block whose LayerNorms
            learn, such as ``dict(image=6)``. Defaults to 0 in each.
        init_cfg (dict, optional): Not used; the start values are CLIP's.

    Raises:
        ValueError: If a tower is unknown or has no such block, or its blocks
            have no LayerNorms of two values per channel.
    """

    def __init__(
        self,
        about: ModelInfo,
        towers: Sequence[str] = ('image', 'text'),
        first: dict[Literal['image', 'text'], int] | None = None,
        init_cfg: dict | None = None,
    ):
        super().__init__(about, init_cfg)
        both, first = dict(image=about.image_tower, text=about.text_tower), first or {}
        if not towers or not set(towers) <= set(both):
            raise ValueError(f'towers must be some of {", ".join(both)}, but is {towers!r}.')
        if not set(first) <= set(towers):
            raise ValueError(f'first must be by tower, {", ".join(towers)}, but is {first!r}.')
        for name in towers:
            setattr(self, name, _tune(name, both[name].blocks, first.get(name, 0)))
        self.changes_image, self.changes_text = 'image' in towers, 'text' in towers
        self.constant_below = first.get('image', 0)
        self.text_constant_below = first.get('text', 0)

    def text_parameters(self) -> list[nn.Parameter]:
        return list(self.text.parameters()) if self.changes_text else []

    @contextmanager
    def off(self):
        """The towers are the frozen ones inside this context."""
        learnt = [m for m in self.modules() if isinstance(m, LearntAffine)]
        for affine in learnt:
            affine.enabled = False
        try:
            yield
        finally:
            for affine in learnt:
                affine.enabled = True


def _tune(tower: str, blocks: nn.ModuleList, first: int) -> nn.ModuleList:
    """Put learnt LayerNorms into blocks; gives them by block and name."""
    if type(first) is not int or not 0 <= first < len(blocks):
        raise ValueError(
            f'first[{tower!r}] must be a block of the {tower} tower, from 0 to {len(blocks) - 1}, '
            f'but is {first!r}.'
        )
    parts = nn.ModuleList()
    for depth, block in enumerate(blocks):
        learnt = nn.ModuleDict()  # an empty one keeps the others' place
        for name in _names(tower, block) if depth >= first else ():
            frozen = getattr(block, name)
            learnt[name] = LearntAffine(frozen)
            setattr(block, name, TunedNorm(frozen, learnt[name]))
            block.tuned = True
        parts.append(learnt)
    return parts


def _names(tower: str, block: nn.Module) -> tuple[str, str]:
    """What a block calls its two LayerNorms."""
    for names in NAMES:
        norms = [getattr(block, name, None) for name in names]
        if all(isinstance(n, nn.LayerNorm) and n.weight is not None for n in norms):
            return names
    raise ValueError(
        f'LayerNorms tunes weight and bias of the two LayerNorms of a block, which '
        f'{type(block).__name__} of the {tower} tower lacks: take this tower out of '
        'tuning.towers, or use a CLIP ViT such as ViT-B-16-quickgelu.'
    )


def merge_norms(tower: nn.Module) -> None:
    """Make the learnt LayerNorms of a tower its own."""
    for block in tower.blocks:
        for name, norm in list(block.named_children()):
            if isinstance(norm, TunedNorm):
                with torch.no_grad():
                    norm.frozen.weight.copy_(norm.learnt.weight)
                    norm.frozen.bias.copy_(norm.learnt.bias)
                setattr(block, name, norm.frozen)
