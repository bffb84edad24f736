"""APE: a cache of the training images in a choice of channels."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmpretrain.registry import MODELS

from mmdpt.utils.values import Many, Share

from ..part import ModelInfo
from .cache import CacheHead
from .feature_space import FeatureSpace, Found, Labelled, class_sums, grid
from .match import Match, similarity

TINY = 1e-6


@MODELS.register_module()
class APEHead(CacheHead):
    """Tip-Adapter in the channels that tell classes apart, its labels weighted.

    `Not All Features Matter <https://arxiv.org/abs/2304.01195>`_, training-free:
    the channels are kept in which classes are least alike and their texts
    differ most; logits = zero-shot + alpha exp(-beta (1 - f~ keys~))
    (labels times exp(gamma d)), where d says how far a key's zero-shot answer
    is from its label.

    Args:
        about (ModelInfo): The model.
        num_keys (int): S, number of training images.
        channel_share (float): Share of the channels that is kept. Defaults to 0.7.
        similarity_weight (float): What likeness counts. Defaults to 0.7.
        variance_weight (float): What variance counts. Defaults to 0.3.
        alpha, beta, gamma (float): Of the formula.
        **kwargs: See :class:`SimilarityHead`.

    Raises:
        ValueError: If a value is out of range.
    """

    saved_buffers = ('channels', 'labels', 'alpha', 'beta', 'gamma')
    method = 'APE'
    axes = 3

    def __init__(
        self,
        about: ModelInfo,
        num_keys: Many,
        channel_share: Share = 0.7,
        similarity_weight: float = 0.7,
        variance_weight: float = 0.3,
        alpha: float = 1.0,
        beta: float = 1.0,
        gamma: float = 0.1,
        **kwargs,
    ):
        super().__init__(about, num_keys, **kwargs)
        self.set_weights(alpha=alpha, beta=beta, gamma=gamma)
        if not 0 < channel_share <= 1:
            raise ValueError(
                f'channel_share must be above 0 and at most 1, but is {channel_share!r}.'
            )
        num_channels = max(1, round(channel_share * about.image_tower.embed_dim))  # q
        self.weights = (similarity_weight, variance_weight)
        self.register_buffer('channels', torch.arange(num_channels))

    @torch.no_grad()
    def fit(self, space: FeatureSpace) -> None:
        """Fill the cache and choose the channels."""
        super().fit(space)
        criterion = self.criterion(space.support.match.text)
        self.channels.copy_(criterion.topk(len(self.channels)).indices)

    def likeness(self, text: torch.Tensor) -> torch.Tensor:
        """How alike texts and keys of different classes are, by channel, (E,)."""
        counts = torch.bincount(self.labels, minlength=self.num_classes).to(text)
        means = (text + class_sums(self.keys, self.labels, self.num_classes)) / (1 + counts)[
            :, None
        ]
        products = means.sum(0).square() - means.square().sum(0)  # of ordered pairs
        return products / (self.num_classes * (self.num_classes - 1))

    def criterion(self, text: torch.Tensor) -> torch.Tensor:
        """How useful each channel is, (E,)."""
        text = F.normalize(text, dim=-1)
        unlike, differ = self.weights
        return differ * text.var(0) - unlike * self.likeness(text)

    def refined(self, rows: torch.Tensor) -> torch.Tensor:
        """Features (N, E) in the chosen channels, normalised, (N, q)."""
        return F.normalize(rows[:, self.channels], dim=-1)

    def divergence(self, text: torch.Tensor) -> torch.Tensor:
        """How far the keys' zero-shot answers are from their labels, (S,)."""
        answers = (self.refined(self.keys) @ self.refined(text).t()).softmax(1)
        own = answers.gather(1, self.labels[:, None])[:, 0]
        return ((1 + TINY) / (own + TINY)).log2()

    def cache_logits(self, affinity: torch.Tensor, text: torch.Tensor, beta, gamma) -> torch.Tensor:
        """The cache's answer to an affinity (B, S), before alpha, (B, C)."""
        values = F.one_hot(self.labels, self.num_classes).to(affinity)
        weighted = values * (gamma * self.divergence(text)).exp()[:, None]
        return (-beta * (1 - affinity)).exp() @ weighted

    def affinity(self, image: torch.Tensor) -> torch.Tensor:
        """Similarity of features (B, E) to the keys in the chosen channels, (B, S)."""
        return self.refined(image) @ self.refined(self.keys).t()

    def forward(self, match: Match) -> torch.Tensor:
        cache = self.cache_logits(self.affinity(match.image), match.text, self.beta, self.gamma)
        return similarity(match.image, match.text, match.scale) + self.alpha * cache

    @torch.no_grad()
    def search(
        self,
        val: Labelled,
        scale: Sequence[float] = (7, 7, 1),
        steps: Sequence[int] = (200, 20, 20),
    ) -> Found:
        """Choose beta, alpha and gamma: the first of the best, beta in the outer loop.

        Args:
            val (Labelled): Validation images.
            scale (Sequence[float]): Upper ends of the three (not reached).
            steps (Sequence[int]): Number of values of each.
        """
        match, labels = val
        betas, alphas = (grid(*pair) for pair in zip(scale[:2], steps[:2]))
        gammas = [i * scale[2] / steps[2] for i in range(steps[2])]
        zero_shot = similarity(match.image, match.text, match.scale)
        rows, there = keys_by_class(self.labels, self.num_classes)
        affinity = self.affinity(match.image)[:, rows].transpose(0, 1)  # (C, B, n)
        gains = (self.divergence(match.text)[rows, None] * affinity.new_tensor(gammas)).exp()
        gains = gains * there[..., None]  # (C, n, gammas)
        scales = affinity.new_tensor(alphas)[:, None, None]
        accuracy = torch.zeros(len(betas), len(alphas), len(gammas), dtype=torch.float64)
        for i, beta in enumerate(betas):
            caches = (-beta * (1 - affinity)).exp() @ gains  # a class's keys answer for it alone
            for k, cache in enumerate(caches.permute(2, 1, 0).contiguous()):  # (B, C)
                hit = (zero_shot + scales * cache).argmax(-1) == labels
                accuracy[i, :, k] = 100 * hit.double().mean(-1)
        return self.choose(accuracy, beta=betas, alpha=alphas, gamma=gammas)


def keys_by_class(labels: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Each class's keys, (C, n), filled up with others, and which of them are there, (C, n)."""
    hot = F.one_hot(labels, count).t()
    there, rows = hot.sort(stable=True, dim=1, descending=True)
    most = int(hot.sum(1).max())
    return rows[:, :most], there[:, :most] > 0
