"""Tip-Adapter: a cache of frozen image features."""

from collections.abc import Sequence

import torch
import torch.nn as nn
import torch.nn.functional as F
from mmpretrain.registry import MODELS

from mmdpt.utils.checks import check_count, check_weight
from mmdpt.utils.values import Many

from ..part import ModelInfo
from .feature_space import FeatureHead, FeatureSpace, Found, Labelled, best, grid, percent
from .match import Match, similarity


@MODELS.register_module()
class TipAdapterHead(FeatureHead):
    """A cache of the few labelled images, added to the zero-shot logits.

    `Tip-Adapter <https://arxiv.org/abs/2207.09519>`_, equations 4-6: the
    normalised features of the training images are keys, their labels values;
    logits = zero-shot + ``alpha * exp(-beta (1 - f keys)) values``. The keys
    are learnt further (Tip-Adapter-F), or not, if the loop takes no step.

    Args:
        about (ModelInfo): The model.
        num_keys (int): S, number of training images.
        alpha (float): Weight of the cache. Defaults to 1.
        beta (float): Sharpness. Defaults to 1.
        **kwargs: See :class:`SimilarityHead`.

    Raises:
        ValueError: If a value is out of range.
    """

    saved_buffers = ('labels', 'alpha', 'beta')

    def __init__(
        self, about: ModelInfo, num_keys: Many, alpha: float = 1.0, beta: float = 1.0, **kwargs
    ):
        super().__init__(about, **kwargs)
        check_count('num_keys', num_keys, 1, 10**7, 'training images')
        check_weight('alpha', alpha)
        check_weight('beta', beta)
        self.num_keys = num_keys
        self.register_buffer('alpha', torch.tensor(float(alpha), dtype=torch.float64))
        self.register_buffer('beta', torch.tensor(float(beta), dtype=torch.float64))
        self.register_buffer('labels', torch.zeros(num_keys, dtype=torch.long))
        self.num_classes = len(about.classes)
        self.keys = nn.Parameter(torch.zeros(num_keys, about.image_tower.embed_dim))

    def transfer(self, old: Sequence[str]) -> set[str]:
        raise ValueError(
            'transfer=True cannot carry the cache of Tip-Adapter to other '
            'classes: it holds labelled images of the old ones. Fill a new '
            'one.'
        )

    @torch.no_grad()
    def fit(self, space: FeatureSpace) -> None:
        """Fill the cache with the views' mean features.

        Raises:
            ValueError: If the cache has room for another number of images.
        """
        match, labels = space.support
        views = match.image.view(space.views, -1, match.image.shape[1])
        if views.shape[1] != self.num_keys:
            raise ValueError(
                f'TipAdapterHead has room for {self.num_keys} images, but the '
                f'training set has {views.shape[1]}: set model.head.num_keys='
                f'{views.shape[1]}.'
            )
        self.keys.copy_(F.normalize(views.mean(0), dim=-1))
        self.labels.copy_(labels[: self.num_keys])

    def affinity(self, image: torch.Tensor) -> torch.Tensor:
        """Similarity of features (B, E) to the keys, (B, S)."""
        return F.normalize(image, dim=-1) @ self.keys.t()

    def values(self) -> torch.Tensor:
        """The labels as vectors, (S, C)."""
        return F.one_hot(self.labels, self.num_classes).to(self.keys)

    def cache_logits(self, affinity: torch.Tensor, beta) -> torch.Tensor:
        """The cache's answer to an affinity (B, S), before alpha, (B, C)."""
        return (-beta * (1 - affinity)).exp() @ self.values()

    def forward(self, match: Match) -> torch.Tensor:
        cache = self.cache_logits(self.affinity(match.image), self.beta)
        return similarity(match.image, match.text, match.scale) + self.alpha * cache

    @torch.no_grad()
    def search(
        self, val: Labelled, scale: Sequence[float] = (7, 3), steps: Sequence[int] = (200, 20)
    ) -> Found:
        """Choose beta and alpha: the first of the best, beta in the outer loop.

        Args:
            val (Labelled): Validation images.
            scale (Sequence[float]): Upper ends of beta and alpha (not reached).
            steps (Sequence[int]): Number of values of each.
        """
        match, labels = val
        betas, alphas = (grid(*pair) for pair in zip(scale, steps))
        affinity = self.affinity(match.image)
        zero_shot = similarity(match.image, match.text, match.scale)
        rows = []
        for beta in betas:
            cache = self.cache_logits(affinity, beta)
            rows.append(torch.stack([percent(zero_shot + a * cache, labels) for a in alphas]))
        found = best(torch.stack(rows), beta=betas, alpha=alphas)
        self.beta.fill_(found.values['beta'])
        self.alpha.fill_(found.values['alpha'])
        return found
