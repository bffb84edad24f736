"""Tip-Adapter: a cache of frozen image features."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmpretrain.registry import MODELS

from mmdpt.utils.values import Many

from ..part import ModelInfo
from .cache import CacheHead
from .feature_space import Found, Labelled, grid, percent
from .match import Match, similarity


@MODELS.register_module()
class TipAdapterHead(CacheHead):
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
    method = 'Tip-Adapter'
    axes = 2

    def __init__(
        self, about: ModelInfo, num_keys: Many, alpha: float = 1.0, beta: float = 1.0, **kwargs
    ):
        super().__init__(about, num_keys, **kwargs)
        self.set_weights(alpha=alpha, beta=beta)

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
        return self.choose(torch.stack(rows), beta=betas, alpha=alphas)
