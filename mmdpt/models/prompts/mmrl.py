"""MMRL and MMRL++: one space of tokens for the upper blocks of both towers."""

from collections.abc import Sequence

import torch
import torch.nn as nn
import torch.nn.functional as F
from mmpretrain.registry import MODELS

from mmdpt.utils.checks import check_count
from mmdpt.utils.values import Size

from ..clip.edits import Edit
from ..part import ModelInfo
from .base import TextPrompt, VisualPrompt
from .templates import FrozenBank, fill_template


class LayerProjections(nn.Module):
    """One linear map per layer (MMRL); all start alike."""

    def __init__(self, count: int, source: int, width: int):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(source, width) for _ in range(count))
        for layer in self.layers[1:]:
            layer.load_state_dict(self.layers[0].state_dict())

    def forward(self, tokens: torch.Tensor, index: int) -> torch.Tensor:
        """Map tokens (n, d) to the width of a tower, (n, W)."""
        return self.layers[index](tokens)


class SharedProjection(nn.Module):
    """One matrix for all layers, and per layer a low-rank residual and a bias
    (MMRL++)."""

    def __init__(self, count: int, source: int, width: int, rank: int):
        super().__init__()
        first = nn.Linear(source, width)
        self.weight = first.weight
        self.bias = nn.ParameterList(first.bias.detach().clone() for _ in range(count))
        self.A = nn.ParameterList(
            torch.empty(width, rank).uniform_(-(rank**-0.5), rank**-0.5) for _ in range(count)
        )
        self.B = nn.ParameterList(torch.zeros(rank, source) for _ in range(count))

    def forward(self, tokens: torch.Tensor, index: int) -> torch.Tensor:
        """Map tokens (n, d) to the width of a tower, (n, W)."""
        weight = self.weight + self.A[index] @ self.B[index]
        return F.linear(tokens, weight, self.bias[index])


def projections(count: int, source: int, width: int, rank: int | None) -> nn.Module:
    """The maps from the common space to one tower."""
    return (
        LayerProjections(count, source, width)
        if rank is None
        else SharedProjection(count, source, width, rank)
    )


@MODELS.register_module()
class RepresentationText(TextPrompt):
    """Tokens of a common space in the upper blocks of the text tower.

    `MMRL: Multi-Modal Representation Learning <https://arxiv.org/abs/2503.08497>`_,
    equations 4-7, and MMRL++. The prompts are the model's one template. The
    tokens enter behind the start of text in the first of ``layers``; in each
    later one those of that layer take their place.

    Args:
        about (ModelInfo): The model.
        num_tokens (int): n.
        space_dim (int): d, size of the common space.
        layers (Sequence[int]): Blocks that get tokens, counted from 1 as in
            the public code. Those that one tower lacks act in the other.
        rank (int, optional): Rank of the residuals (MMRL++). None: one matrix
            per layer (MMRL).
        mix (float): Share of a later layer's tokens; the rest is what comes
            out of the block before (MMRL++). Defaults to 1.
        init_cfg (dict, optional): Not used; the values are initialised here.

    Raises:
        ValueError: If a value is out of range, or there are several
            templates.
    """

    def __init__(
        self,
        about: ModelInfo,
        num_tokens: int = 5,
        space_dim: Size = 512,
        layers: Sequence[int] = tuple(range(6, 13)),
        rank: Size | None = None,
        mix: float = 1.0,
        init_cfg: dict | None = None,
    ):
        super().__init__(about, init_cfg)
        tower = about.text_tower
        depth = len(tower.blocks)
        check_count('num_tokens', num_tokens, 1, 1000, 'tokens of each layer')
        check_count('space_dim', space_dim, 1, 10**5, 'size of the common space')
        if not layers or list(layers) != sorted({*layers}):
            raise ValueError(f'layers must be blocks in ascending order, but is {layers!r}.')
        check_count('layers[0]', layers[0], 1, depth, f'the text tower has {depth} blocks')
        if rank is not None:
            check_count('rank', rank, 1, 10**4, 'of the residuals')
        if isinstance(mix, bool) or not isinstance(mix, (int, float)) or not 0 < mix <= 1:
            raise ValueError(f'mix must be a number above 0 and up to 1, but is {mix!r}.')
        self.layers, self.rank, self.mix = list(layers), rank, mix
        wide = torch.promote_types(tower.token_embedding.weight.dtype, torch.float32)
        self.tokens = nn.Parameter(torch.empty(num_tokens, space_dim).normal_(std=0.02).to(wide))
        self.projections = projections(len(layers), space_dim, tower.width, rank).to(wide)
        self.constant_below = layers[0] - 1
        self._check_model(about)
        self.token_ids = [fill_template(tower, name, about.templates[0]) for name in about.classes]
        self.frozen = FrozenBank(tower, self.token_ids)
        self.pack([[self.frozen.row[i] for i in ids] for ids in self.token_ids])

    def _check_model(self, about: ModelInfo) -> None:
        if len(about.templates) != 1:
            raise ValueError(
                f'{type(self).__name__} learns with one template, but there are '
                f'{len(about.templates)}: set templates to one of them.'
            )
        deepest = max(about.image_tower.depth, len(about.text_tower.blocks))
        if self.layers[-1] > deepest:
            raise ValueError(
                f'layers={self.layers} go beyond both towers: the deeper one has {deepest} blocks.'
            )

    def bank(self, image=None) -> torch.Tensor:
        return self.frozen.embedding

    def at_block(self, depth: int) -> Edit | None:
        if depth + 1 not in self.layers:
            return None
        index = self.layers.index(depth + 1)
        tokens = self.projections(self.tokens, index)
        return Edit(tokens, 'insert') if index == 0 else Edit(tokens, weight=self.mix)


@MODELS.register_module()
class RepresentationImage(VisualPrompt):
    """The same tokens in the upper blocks of the image tower.

    Its tokens are those of a :class:`RepresentationText`; it learns the maps
    to its own width. What becomes of the tokens goes to the head.

    Args:
        about (ModelInfo): The model.

    Raises:
        ValueError: If the text prompt has another type.
    """

    requires = frozenset({'text_prompt'})
    gives = frozenset({'prompt_tokens'})

    def __init__(self, about: ModelInfo, init_cfg: dict | None = None):
        super().__init__(about, init_cfg)
        text = about.text_prompt
        if not isinstance(text, RepresentationText):
            raise ValueError(
                'RepresentationImage maps the tokens of a RepresentationText, but '
                f'text_prompt is {type(text).__name__}.'
            )
        self.layers, self.mix = text.layers, text.mix
        self.constant_below = text.constant_below
        self.projections = projections(
            len(self.layers), text.tokens.shape[1], about.image_tower.width, text.rank
        )
        self._source = (text,)  # so that the tokens stay the text prompt's alone

    def at_block(self, depth, tokens, classes=None):
        if depth + 1 not in self.layers:
            return None
        index = self.layers.index(depth + 1)
        own = self.projections(self._source[0].tokens, index)
        return Edit(own, 'append') if index == 0 else Edit(own, weight=self.mix)
