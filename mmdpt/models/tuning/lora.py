"""Low-rank updates of the towers' attention (CLIP-LoRA)."""

from collections.abc import Sequence
from contextlib import contextmanager
from typing import Literal

import torch
import torch.nn as nn
import torch.nn.functional as F
from mmpretrain.registry import MODELS

from mmdpt.utils.checks import check_count, check_weight
from mmdpt.utils.values import Share, Size

from ..part import ModelInfo
from ..randomness import step_seed
from .base import Tuning
from .sample_dropout import SampleDropout, sample_keys

PARTS = 'qkv'  # the order of their thirds in in_proj_weight


class LowRank(nn.Module):
    """What is added to one projection: scaling * B A dropout(x).

    Args:
        width (int): D.
        rank (int): r.
        scaling (float): Factor.
        dropout (float): Of the branch's input, in training.
    """

    def __init__(self, width: int, rank: int, scaling: float, dropout: float):
        super().__init__()
        self.A = nn.Parameter(torch.empty(rank, width).uniform_(-(width**-0.5), width**-0.5))
        self.B = nn.Parameter(torch.zeros(width, rank))
        self.scaling, self.dropout = scaling, SampleDropout(dropout)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map tokens (..., D) to (..., D)."""
        down = F.linear(self.dropout(x), self.A.to(x.dtype))
        return self.scaling * F.linear(down, self.B.to(x.dtype))


class LowRankAttention(nn.Module):
    """The updates of one block's queries, keys and values.

    Args:
        width (int): D.
        parts (Sequence[str]): Which get one, out of 'q', 'k', 'v'.
        **options: Of :class:`LowRank`.
    """

    def __init__(self, width: int, parts: Sequence[str], **options):
        super().__init__()
        self.enabled = True
        self.parts = nn.ModuleDict({part: LowRank(width, **options) for part in parts})

    def forward(self, x: torch.Tensor, first: int, last: int) -> torch.Tensor:
        """Update of the projections ``first`` to ``last`` (not included) of
        q, k, v, (..., (last - first) D)."""
        return torch.cat(
            [
                self.parts[part](x) if part in self.parts else torch.zeros_like(x)
                for part in PARTS[first:last]
            ],
            dim=-1,
        )


def _chosen(name: str, blocks: Sequence[int] | None, depth: int) -> Sequence[int]:
    """The blocks of a tower that get updates."""
    if blocks is None:
        return range(depth)
    if not blocks or not set(blocks) <= set(range(depth)):
        raise ValueError(
            f'blocks of the {name} tower must be some of 0 to {depth - 1}, but are {blocks!r}.'
        )
    return blocks


@MODELS.register_module()
class LoRA(Tuning):
    """Low-rank updates of the blocks of the towers.

    `Low-Rank Few-Shot Adaptation of Vision-Language Models
    <https://arxiv.org/abs/2405.18541>`_: W + alpha / sqrt(r) B A in the
    projections of the attention. (MMPretrain's ``LoRAModel`` wraps
    ``nn.Linear`` modules and scales by alpha / r; CLIP's packed projections
    are not modules.) Tokens that several prompts share also share their dropout.

    Args:
        about (ModelInfo): The model.
        rank (int): r.
        alpha (float): Numerator of the scaling.
        dropout (float): Of the branch's input, in training.
        parts (Sequence[str]): Out of 'q', 'k', 'v'.
        towers (Sequence[str]): Out of 'image', 'text'.
        blocks (dict, optional): By tower, the indices of the blocks that get
            updates, such as ``dict(image=[9, 10, 11])``. Defaults to all.
        init_cfg (dict, optional): Not used; the values are initialised here.

    Raises:
        ValueError: If a value is out of range.
    """

    def __init__(
        self,
        about: ModelInfo,
        rank: Size = 2,
        alpha: float = 1.0,
        dropout: Share = 0.25,
        parts: str | Sequence[str] = ('q', 'k', 'v'),
        towers: Sequence[str] = ('image', 'text'),
        blocks: dict[Literal['image', 'text'], Sequence[int]] | None = None,
        init_cfg: dict | None = None,
    ):
        super().__init__(about, init_cfg)
        both = dict(image=about.image_tower, text=about.text_tower)
        for name, values, known in (('parts', parts, PARTS), ('towers', towers, both)):
            if not values or not set(values) <= set(known):
                raise ValueError(f'{name} must be some of {", ".join(known)}, but is {values!r}.')
        check_weight('alpha', alpha)
        check_weight('dropout', dropout)
        if dropout >= 1:
            raise ValueError(f'dropout must be below 1, but is {dropout!r}.')
        blocks = blocks or {}
        if not set(blocks) <= set(towers):
            raise ValueError(f'blocks must be by tower, {", ".join(towers)}, but is {blocks!r}.')
        for name in towers:
            tower = both[name]
            if not getattr(tower, 'takes_lora', True):
                raise ValueError(
                    f'LoRA updates the attention of open_clip, but the blocks '
                    f"of the {name} tower are timm's: set towers=('text',), "
                    'or use a CLIP ViT such as ViT-B-16-quickgelu.'
                )
            check_count(
                'rank',
                rank,
                1,
                tower.width,
                f'tokens of the {name} tower have {tower.width} values',
            )
            chosen = _chosen(name, blocks.get(name), len(tower.blocks))
            updates = nn.ModuleList(
                LowRankAttention(
                    tower.width, parts, rank=rank, dropout=dropout, scaling=alpha / rank**0.5
                )
                if i in chosen
                else nn.Identity()  # keeps the others' place
                for i in range(len(tower.blocks))
            )
            for i in chosen:
                # Not as a submodule: what is learnt is here alone.
                object.__setattr__(tower.blocks[i].attn, 'low_rank', updates[i])
            setattr(self, name, updates)
        self.changes_image = 'image' in towers
        if self.changes_image:
            self.constant_below = min(_chosen('image', blocks.get('image'), both['image'].depth))
        self.drops_text = dropout > 0 and 'text' in towers

    def begin_step(
        self, samples: Sequence, device: torch.device, text_by_image: bool = False
    ) -> None:
        """Make this step's dropout a function of seed, iteration and sample.

        Args:
            samples (Sequence[DataSample]): Of this process's images.
            device (torch.device): Of the images.
            text_by_image (bool): Whether the text depends on the image.
        """
        seed = step_seed()
        keys = sample_keys(samples, seed, device)
        for name, tower in self.named_children():
            for place, module in enumerate(tower.modules()):
                if isinstance(module, SampleDropout):
                    of_images = name == 'image' or text_by_image
                    module.begin_step((*seed, len(name), place), keys if of_images else None)

    @contextmanager
    def off(self):
        """The towers are the frozen ones inside this context."""
        updates = [m for m in self.modules() if isinstance(m, LowRankAttention)]
        for update in updates:
            update.enabled = False
        try:
            yield
        finally:
            for update in updates:
                update.enabled = True
