"""Tip-Adapter: a cache of frozen image features."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn as nn
import torch.nn.functional as F
from mmpretrain.registry import MODELS

from mmdpt.utils.checks import check_count, check_weight
from mmdpt.utils.values import Many

from ..part import ModelInfo
from .base import SimilarityHead
from .match import Match, similarity


class SearchResult(NamedTuple):
    """Outcome of :meth:`TipAdapterHead.search`."""

    beta: float
    alpha: float
    accuracy: torch.Tensor  # per cent, (values of beta, values of alpha)


@MODELS.register_module()
class TipAdapterHead(SimilarityHead):
    """A cache of the few labelled images, added to the zero-shot logits.

    `Tip-Adapter <https://arxiv.org/abs/2207.09519>`_, equations 4-6: the
    normalised features of the training images are keys, their labels values;
    logits = zero-shot + ``alpha * exp(-beta (1 - f keys)) values``. The keys
    are learnt further (Tip-Adapter-F), or not, if the loop takes no step.
    :class:`TipAdapterHook` fills the cache.

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
        self.register_buffer('alpha', torch.tensor(float(alpha)))
        self.register_buffer('beta', torch.tensor(float(beta)))
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
    def fill(self, views: torch.Tensor, labels: torch.Tensor) -> None:
        """Make the cache.

        Args:
            views (Tensor): Features of V augmented views of the S images, not
                normalised, (V, S, E).
            labels (Tensor): (S,).

        Raises:
            ValueError: If the cache has room for another number of images.
        """
        if len(labels) != self.num_keys:
            raise ValueError(
                f'TipAdapterHead has room for {self.num_keys} images, but the '
                f'training set has {len(labels)}: set model.head.num_keys='
                f'{len(labels)}.'
            )
        self.keys.copy_(F.normalize(views.mean(0), dim=-1))
        self.labels.copy_(labels)

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
        self, match: Match, labels: torch.Tensor, scale: tuple[float, float], steps: tuple[int, int]
    ) -> SearchResult:
        """Choose beta and alpha on labelled images, and use them.

        Args:
            match (Match): Of these images.
            labels (Tensor): (B,).
            scale (tuple): Upper ends of beta and alpha (not reached).
            steps (tuple): Number of values of beta and alpha.

        Returns:
            SearchResult: The first of the best, beta in the outer loop.
        """
        betas, alphas = (grid(*pair) for pair in zip(scale, steps))
        affinity = self.affinity(match.image)
        zero_shot = similarity(match.image, match.text, match.scale)
        rows = []
        for beta in betas:
            cache = self.cache_logits(affinity, beta)
            rows.append(
                [
                    100 * (zero_shot + alpha * cache).argmax(1).eq(labels).double().mean()
                    for alpha in alphas
                ]
            )
        accuracy = torch.tensor(rows, dtype=torch.float64)
        best = int(accuracy.argmax())  # the first
        result = SearchResult(betas[best // len(alphas)], alphas[best % len(alphas)], accuracy)
        self.beta.fill_(result.beta)
        self.alpha.fill_(result.alpha)
        return result


def grid(scale: float, steps: int) -> list[float]:
    """Values from 0.1 in equal steps; the upper end is not reached."""
    return [i * (scale - 0.1) / steps + 0.1 for i in range(steps)]
