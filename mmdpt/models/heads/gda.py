"""Gaussian discriminant analysis beside zero-shot CLIP, in closed form."""

import math
from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn as nn
import torch.nn.functional as F
from mmpretrain.registry import MODELS

from mmdpt.utils.checks import check_count, check_weight, check_weights
from mmdpt.utils.values import Many

from ..part import ModelInfo
from .feature_space import FeatureHead, FeatureSpace, Found, Labelled, best, class_means, percent
from .match import Match, similarity

ALPHAS = (1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0, 100.0)
SINGLE = (
    'GDA needs differences within a class, and each class has a single feature: give it more '
    'photos, or more views of them (train_cfg.views)'
)


@MODELS.register_module()
class GDAHead(FeatureHead):
    """A Gaussian per class, all with one covariance, added to the zero-shot logits.

    `A Hard-to-Beat Baseline for Training-free CLIP-based Adaptation
    <https://arxiv.org/abs/2402.04087>`_: with means mu of the
    normalised features and precision P, logits = zero-shot + alpha (f P mu -
    mu P mu / 2 - log C). Nothing is trained.

    Fewer images than feature values are no obstacle: the covariance is pooled
    over the classes and shrunk towards tr / E times the identity, at a rate
    that the number of images fixes, so it always has an inverse.

    With ``num_support`` the features of the training images go into the
    checkpoint, and other classes can be made of them: of each
    new class's nearest features and its text feature. As in the authors'
    code, the covariance is then the mean of the classes' own, with a
    pseudo-inverse and without shrinkage.

    Args:
        about (ModelInfo): The model.
        alpha (float): Weight of the Gaussians. Defaults to 0.1.
        num_support (int): Features that are kept for other classes, images times
            views; 0: none, and other classes are refused.
        num_nearest (int): Features that make a new class. Defaults to 64.
        text_copies (int): What its text feature weighs in its mean, counted
            in features. Defaults to 16.
        **kwargs: See :class:`SimilarityHead`.

    Raises:
        ValueError: If a value is out of range.
    """

    saved_buffers = ('alpha', 'support')

    def __init__(
        self,
        about: ModelInfo,
        alpha: float = 0.1,
        num_support: Many | Literal[0] = 0,
        num_nearest: int = 64,
        text_copies: int = 16,
        **kwargs,
    ):
        super().__init__(about, **kwargs)
        check_weight('alpha', alpha)
        check_count('num_support', num_support, 0, 10**7, 'features of training images')
        check_count('num_nearest', num_nearest, 2, 10**6, 'a covariance needs two features')
        check_count('text_copies', text_copies, 0, 10**6, 'copies of a text feature')
        size, count = about.image_tower.embed_dim, len(about.classes)
        self.num_nearest, self.text_copies = num_nearest, text_copies
        self.register_buffer('alpha', torch.tensor(float(alpha), dtype=torch.float64))
        self.register_buffer('support', torch.zeros(num_support, size))
        self.weight = nn.Parameter(torch.zeros(count, size))
        self.bias = nn.Parameter(torch.zeros(count))
        self._other_classes = False  # weight and bias are still those of nothing

    def transfer(self, old: Sequence[str]) -> set[str]:
        if not len(self.support):
            raise ValueError(
                'transfer=True cannot carry GDA to other classes without the features of its '
                'training images: train with model.head.num_support=IMAGES * VIEWS.'
            )
        self._other_classes = True
        return {'weight', 'bias'}

    def forward(self, match: Match) -> torch.Tensor:
        if self._other_classes:
            self.take(*self.other_classes(match.text))
            self._other_classes = False
        zero_shot = similarity(match.image, match.text, match.scale)
        return zero_shot + self.alpha * self.gaussian(match)

    def gaussian(self, match: Match) -> torch.Tensor:
        """The Gaussians' logits, before alpha, (B, C)."""
        return F.linear(F.normalize(match.image, dim=-1), self.weight, self.bias)

    def check(self, images: int, views: int, fit: dict, search: dict) -> None:
        check_weights('train_cfg.search.alphas', search.get('alphas', ALPHAS))
        self.check_room(images * views)
        if images * views <= len(self.bias):
            raise ValueError(SINGLE)

    def check_room(self, rows: int) -> None:
        """Raise ValueError if the features cannot be kept."""
        if len(self.support) not in (0, rows):
            raise ValueError(
                f'GDAHead has room for {len(self.support)} features, but the training set has '
                f'{rows}: set model.head.num_support={rows}.'
            )

    @torch.no_grad()
    def fit(self, space: FeatureSpace) -> None:
        """Estimate means and precision.

        Raises:
            ValueError: If a class has no image (with ``num_support``: no two features), or
                ``num_support`` is not the number of features.
        """
        match, labels = space.support
        rows = F.normalize(match.image, dim=-1)
        self.check_room(len(rows))
        if len(self.support):
            self.support.copy_(rows)
        self.take(*self.estimate(rows, labels))

    def estimate(
        self, rows: torch.Tensor, labels: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Means (C, E) and precision (E, E) of normalised features (N, E), in double precision."""
        exact = rows.double()
        means = class_means(exact, labels, len(self.bias))
        centred = exact - means[labels]
        if not len(self.support):
            return means, shrunk_precision(centred)
        covariance = mean_covariance(centred, labels, len(self.bias))
        cut = rows.shape[1] * torch.finfo(rows.dtype).eps  # what is below is rounding
        return means, torch.linalg.pinv(covariance, rtol=cut, hermitian=True)

    @torch.no_grad()
    def take(self, means: torch.Tensor, precision: torch.Tensor) -> None:
        """Become the classifier of means (C, E) and a precision (E, E)."""
        weight = means @ precision
        self.weight.copy_(weight)
        self.bias.copy_(-math.log(len(means)) - (weight * means).sum(1) / 2)

    @torch.no_grad()
    def other_classes(self, text: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Means (C, E) and precision (E, E) of classes without images.

        Args:
            text (Tensor): Their text features, (C, E).
        """
        text = F.normalize(text, dim=-1).to(self.support)
        rows, text = self.support[self.nearest(text)].double(), text.double()  # (C, k, E)
        copies = self.text_copies
        means = (rows.sum(1) + copies * text) / (rows.shape[1] + copies)
        precisions = (shrunk_precision(r - t) for r, t in zip(rows, text))
        return means, sum(precisions) / len(text)

    def nearest(self, text: torch.Tensor) -> torch.Tensor:
        """Rows of the support nearest to text features (C, E), (C, k)."""
        return (text @ self.support.t()).topk(min(self.num_nearest, len(self.support))).indices

    @torch.no_grad()
    def search(self, val: Labelled, alphas: Sequence[float] = ALPHAS) -> Found:
        """Choose alpha: the first of the best; where none is ever right, it stays as it is."""
        match, labels = val
        zero_shot = similarity(match.image, match.text, match.scale)
        gaussian = self.gaussian(match)
        rows = [percent(zero_shot + alpha * gaussian, labels) for alpha in alphas]
        found = best(torch.stack(rows), alpha=list(alphas))
        if found.accuracy.any():
            self.alpha.fill_(found.values['alpha'])
        return found


def shrunk_precision(centred: torch.Tensor) -> torch.Tensor:
    """E times the inverse of (N - 1) S + tr(S) I, of the covariance S of rows (N, E).

    Raises:
        ValueError: If all rows are zero.
    """
    count, size = centred.shape
    scatter = centred.t() @ centred
    if not scatter.trace() > 0:
        raise ValueError(SINGLE)
    shrinkage = scatter.trace() / (count - 1)
    return size * torch.linalg.inv(scatter + shrinkage * torch.eye(size).to(scatter))


def mean_covariance(centred: torch.Tensor, labels: torch.Tensor, num_classes: int) -> torch.Tensor:
    """The classes' own covariances, averaged, (E, E)."""
    counts = torch.bincount(labels, minlength=num_classes)
    if counts.min() < 2:
        raise ValueError(
            f'class {int(counts.argmin())} has {int(counts.min())} feature: its covariance needs '
            'two. Use more views (train_cfg.views), or num_support=0.'
        )
    weights = 1 / (counts[labels] - 1).to(centred)
    return (centred * weights[:, None]).t() @ centred / num_classes
