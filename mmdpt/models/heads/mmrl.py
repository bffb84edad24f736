"""MMRL's two similarities: of the class token and of the learnt tokens."""

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn as nn
import torch.nn.functional as F
from mmpretrain.registry import MODELS

from mmdpt.utils.checks import check_count, check_weight
from mmdpt.utils.values import Size

from ..part import ModelInfo
from .base import TermsHead
from .match import similarity

FUSIONS = ('trained', 'always', 'never')


@MODELS.register_module()
class MMRLHead(TermsHead):
    """Classify by the class token and by the mean of the learnt tokens.

    `MMRL <https://arxiv.org/abs/2503.08497>`_, equations 8-14. Without the
    fusion the class token alone decides.

    Args:
        about (ModelInfo): The model.
        alpha (float): Share of the class token's logits and loss.
        weight (float): Lambda, of one minus the cosine to frozen CLIP's image
            and text features.
        fusion (str): Which classes the fusion of both is for: those of the
            training ('trained': base-to-new), 'always' (few-shot) or 'never'
            (cross-dataset, on other datasets).
        rank (int, optional): The projection of the learnt tokens is CLIP's
            plus one of this rank (MMRL++). None: one of its own (MMRL).
        **kwargs: See :class:`SimilarityHead`.

    Raises:
        ValueError: If a value is out of range.
    """

    requires = frozenset(
        ('frozen_image', 'frozen_text', 'text_prompt', 'shared_text', 'prompt_tokens')
    )

    def __init__(
        self,
        about: ModelInfo,
        alpha: float = 0.7,
        weight: float = 0.5,
        fusion: Literal['trained', 'always', 'never'] = 'trained',
        rank: Size | None = None,
        **kwargs,
    ):
        super().__init__(about, **kwargs)
        check_weight('alpha', alpha)
        check_weight('weight', weight)
        if alpha > 1:
            raise ValueError(f'alpha must be at most 1, but is {alpha!r}.')
        if fusion not in FUSIONS:
            raise ValueError(f'fusion must be one of {", ".join(FUSIONS)}, but is {fusion!r}.')
        self.fusion, self.fuses = fusion, fusion != 'never'
        self.alpha, self.weight, self.rank = alpha, weight, rank
        self._make_projection(about)

    def _make_projection(self, about: ModelInfo) -> None:
        tower = about.image_tower
        width, size = tower.width, tower.embed_dim
        if self.rank is None:
            self.proj = nn.Parameter(torch.empty(width, size).normal_(std=max(width, 1) ** -0.5))
            return
        check_count('rank', self.rank, 1, 10**4, 'of what is added to the projection')
        if tower.proj is None:
            raise ValueError(
                f'{type(self).__name__} with rank={self.rank} adds to the projection '
                'of a CLIP ViT, which this image tower lacks: use a CLIP ViT such as '
                'ViT-B-16-quickgelu.'
            )
        self._frozen_proj = (tower.proj,)  # not a parameter of the head
        bound = self.rank**-0.5
        self.A = nn.Parameter(torch.empty(width, self.rank).uniform_(-bound, bound))
        self.B = nn.Parameter(torch.zeros(self.rank, size))

    def transfer(self, old: Sequence[str]) -> set[str]:
        self.fuses = self.fusion == 'always'
        return set()

    def class_logits(self, match) -> torch.Tensor:
        """Logits (B, C) of the class token's feature."""
        return similarity(match.image, match.text, match.scale)

    def token_feature(self, match) -> torch.Tensor:
        """The learnt tokens' feature, (B, E), not normalised."""
        pooled = match.prompt_tokens.mean(1)
        if self.rank is None:
            return pooled @ self.proj
        return pooled @ (self._frozen_proj[0].to(pooled.dtype) + self.A @ self.B)

    def token_logits(self, match) -> torch.Tensor:
        """Logits (B, C) of the learnt tokens' feature."""
        return similarity(self.token_feature(match), match.text, match.scale)

    def forward(self, match):
        logits = self.class_logits(match)
        if not self.fuses:
            return logits
        return self.alpha * logits + (1 - self.alpha) * self.token_logits(match)

    def terms(self, match, target):
        logits = self.class_logits(match)

        def distance(learnt, frozen):
            return 1 - F.cosine_similarity(learnt, frozen, dim=-1).mean()

        return dict(
            logits=(self.alpha, self.cross_entropy(logits, target)),
            logits_rep=(1 - self.alpha, self.cross_entropy(self.token_logits(match), target)),
            cos_image=(self.weight, distance(match.image, match.frozen_image)),
            cos_text=(self.weight, distance(match.text, match.frozen_text)),
        )
