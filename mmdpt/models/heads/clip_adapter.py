"""CLIP-Adapter: a bottleneck on frozen image features."""

import torch
import torch.nn as nn
from mmpretrain.registry import MODELS

from mmdpt.utils.checks import check_count, check_weight
from mmdpt.utils.values import Size

from ..part import ModelInfo
from .base import SimilarityHead
from .match import Match, similarity


@MODELS.register_module()
class CLIPAdapterHead(SimilarityHead):
    """A small bottleneck network on the image features.

    `CLIP-Adapter <https://arxiv.org/abs/2110.04544>`_, equations 3-5: the
    image feature is ``ratio * relu(W2 relu(W1 z)) + (1 - ratio) * z``.

    Args:
        about (ModelInfo): The model.
        ratio (float): Share of the adapted feature, from 0 to 1. Defaults to
            0.2.
        reduction (int): The hidden layer has E // reduction units. Defaults
            to 4.
        **kwargs: See :class:`SimilarityHead`.

    Raises:
        ValueError: If a value is out of range.
    """

    def __init__(self, about: ModelInfo, ratio: float = 0.2, reduction: Size = 4, **kwargs):
        super().__init__(about, **kwargs)
        check_weight('ratio', ratio)
        if ratio > 1:
            raise ValueError(f'ratio must be at most 1, but is {ratio!r}.')
        embed_dim = about.image_tower.embed_dim
        check_count('reduction', reduction, 1, embed_dim, f'image features have {embed_dim} values')
        self.ratio = ratio
        hidden = embed_dim // reduction
        self.adapter = nn.Sequential(
            nn.Linear(embed_dim, hidden, bias=False),
            nn.ReLU(),
            nn.Linear(hidden, embed_dim, bias=False),
            nn.ReLU(),
        )

    def adapt(self, image: torch.Tensor) -> torch.Tensor:
        """Adapted image features, (B, E), not normalised."""
        return self.ratio * self.adapter(image) + (1 - self.ratio) * image

    def forward(self, match: Match) -> torch.Tensor:
        return similarity(self.adapt(match.image), match.text, match.scale)
