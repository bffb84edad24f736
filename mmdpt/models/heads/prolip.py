"""ProLIP: the image tower's last projection learns."""

import math
from collections.abc import Iterator, Sequence

import torch
import torch.nn as nn
import torch.nn.functional as F
from mmpretrain.registry import MODELS

from mmdpt.utils.checks import check_least, check_weights

from ..part import ModelInfo
from .feature_space import FeatureHead, FeatureSpace, Found, best, percent
from .match import Match, similarity

Choice = float | str | Sequence[float | str]


@MODELS.register_module()
class ProLIPHead(FeatureHead):
    """The projection to the joint space, learnt further from where it stands.

    `CLIP's Visual Embedding Projector is a Few-shot Cornucopia
    <https://arxiv.org/abs/2410.05270>`_: logits = scale cos(x W,
    text) of the class token x before the projection; the loss is cross-entropy
    plus lambda times the sum of (W - W0)^2. :meth:`fit` trains it.

    Args:
        about (ModelInfo): The model.
        **kwargs: See :class:`SimilarityHead`.
    """

    requires = FeatureHead.requires | {'pooled'}

    def __init__(self, about: ModelInfo, **kwargs):
        super().__init__(about, **kwargs)
        frozen = about.image_tower.proj  # None where check_parts will refuse the tower
        frozen = torch.zeros(1, 1) if frozen is None else frozen.detach()
        self.register_buffer('start', frozen.clone(), persistent=False)
        self.proj = nn.Parameter(frozen.clone())

    def forward(self, match: Match) -> torch.Tensor:
        if match.pooled is None:
            raise ValueError(
                'ProLIPHead needs the image before its projection: keep features with pooled=True.'
            )
        image = match.pooled.to(self.proj.dtype) @ self.proj
        return similarity(image, match.text, match.scale)

    def check(self, images: int, views: int, fit: dict, search: dict) -> None:
        check_least('train_cfg.fit.epochs', fit.get('epochs', 1), 1)
        check_weights('train_cfg.fit.lr', _listed(fit.get('lr', 1)))
        penalties = [lambda_of(p, 1) for p in _listed(fit.get('penalty', 1))]
        check_weights('train_cfg.fit.penalty', penalties)

    def chooses(self, fit: dict) -> bool:
        return any(len(_listed(fit.get(name))) > 1 for name in ('lr', 'penalty'))

    def fit(
        self, space: FeatureSpace, epochs: int = 300, lr: Choice = 1e-3, penalty: Choice = '1/shots'
    ) -> Found | None:
        """Train on the whole support set at once.

        Epoch e uses view (e + 1) mod V. Several values of ``lr`` or ``penalty``
        are all tried, each from the start, and the first of the best on
        the validation images are used.

        Args:
            space (FeatureSpace): The views.
            epochs (int): Steps.
            lr (float | Sequence[float]): Rate of Adam, which follows a cosine to 0.
            penalty (float | str | Sequence): lambda; '1/shots' and '1/shots^2' go by the
                mean number of images per class.

        Raises:
            ValueError: If a value is out of range.
        """
        classes, images = len(space.support.match.text), len(space.support.labels) / space.views
        rates = _listed(lr)
        penalties = [lambda_of(p, images / classes) for p in _listed(penalty)]
        found, setting = None, (rates[0], penalties[0])
        if len(rates) * len(penalties) > 1:
            val, scores = space.val(), []
            for rate in rates:
                for weight in penalties:
                    self.train_once(space, epochs, rate, weight)
                    with torch.no_grad():
                        scores.append(percent(self(val.match), val.labels))
            accuracy = torch.stack(scores).view(len(rates), len(penalties))
            found = best(accuracy, lr=rates, penalty=penalties)
            setting = (found.values['lr'], found.values['penalty'])
        self.train_once(space, epochs, *setting)
        return found

    def train_once(self, space: FeatureSpace, epochs: int, rate: float, weight: float) -> None:
        """One training from the start."""
        for _ in self.descend(space, epochs, rate, weight):
            pass

    @torch.enable_grad()
    def descend(
        self, space: FeatureSpace, epochs: int, rate: float, weight: float
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Train from the start; gives cross-entropy and (W - W0)^2 of each epoch, after its
        update."""
        with torch.no_grad():
            self.proj.copy_(self.start)
        match, labels = space.support
        views = match.pooled.view(space.views, -1, match.pooled.shape[1])
        labels = labels[: views.shape[1]]
        learnt = torch.optim.Adam([self.proj], lr=rate, eps=1e-4)
        for epoch in range(epochs):
            learnt.param_groups[0]['lr'] = rate_of(epoch, epochs, rate)
            logits = self(match._replace(pooled=views[(epoch + 1) % len(views)]))
            loss = F.cross_entropy(logits, labels)
            distance = (self.proj - self.start).square().sum()
            learnt.zero_grad()
            (loss + weight * distance).backward()
            learnt.step()
            yield loss.detach(), distance.detach()
        self.zero_grad()


def rate_of(epoch: int, epochs: int, rate: float) -> float:
    """A cosine to 0."""
    return rate / 2 * (1 + math.cos(math.pi * epoch / epochs))


def lambda_of(rule: float | str, shots: float) -> float:
    """The weight of the penalty that a number or a rule means."""
    rules = {'1/shots': 1 / shots, '1/shots^2': 1 / shots**2}
    if isinstance(rule, str) and rule not in rules:
        raise ValueError(f'penalty must be a number or one of {", ".join(rules)}, but is {rule!r}.')
    return rules[rule] if isinstance(rule, str) else rule


def _listed(value: Choice) -> list:
    return list(value) if isinstance(value, (list, tuple)) else [value]
