"""Logistic regression on frozen features as a head."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from mmpretrain.registry import MODELS

from mmdpt.utils.checks import check_least, check_weight

from ..part import ModelInfo
from .feature_space import FeatureHead, FeatureSpace, Found, Labelled
from .logistic import fit_logistic, search_linear_probe
from .match import Match


@MODELS.register_module()
class LinearProbeHead(FeatureHead):
    """A linear layer on the frozen image features, not normalised.

    The classifier that the public protocol fits with scikit-learn (CoOp,
    ``lpclip/linear_probe.py``). The text features do not matter.

    Args:
        about (ModelInfo): The model.
        **kwargs: See :class:`SimilarityHead`.
    """

    def __init__(self, about: ModelInfo, **kwargs):
        super().__init__(about, **kwargs)
        size = about.image_tower.embed_dim
        self.weight = nn.Parameter(torch.zeros(len(about.classes), size))
        self.bias = nn.Parameter(torch.zeros(len(about.classes)))

    def transfer(self, old: Sequence[str]) -> set[str]:
        raise ValueError(
            'transfer=True cannot carry a linear probe to other classes: its '
            f'{len(old)} rows belong to the old ones. Fit a new one.'
        )

    def forward(self, match: Match) -> torch.Tensor:
        return F.linear(match.image, self.weight, self.bias)

    def check(self, images: int, views: int, fit: dict, search: dict) -> None:
        check_least('train_cfg.fit.rounds', fit.get('rounds', 1), 1)
        if fit.get('c') is not None:
            check_weight('train_cfg.fit.c', fit['c'])

    def chooses(self, fit: dict) -> bool:
        return fit.get('c') is None

    def fit(self, space: FeatureSpace, rounds: int = 8, c: float | None = None) -> Found | None:
        """Fit it, and choose C on the validation images.

        Args:
            space (FeatureSpace): By the protocol one view, with the test transforms.
            rounds (int): Rounds of the bisection.
            c (float, optional): C, which is then not searched, and needs no validation images.

        Raises:
            ValueError: If a class has no training image, or ``rounds`` is below 1.
        """
        if c is not None:
            self.take_over(fit_logistic(*_arrays(space.support), c))
            return None
        found = search_linear_probe(*map(_arrays, (space.support, space.val())), rounds)
        self.take_over(found.classifier)
        scores = [100 * max(found.rounds[-1].val_accuracy)]
        return Found(dict(C=float(found.classifier.C)), torch.tensor(scores))

    @torch.no_grad()
    def take_over(self, classifier) -> None:
        """Become a fitted classifier: the same probabilities.

        Args:
            classifier (sklearn.linear_model.LogisticRegression): Fitted on
                (N, E) features with labels 0 to C - 1. Of two classes it has
                one row, the second's logit; the first's is 0.

        Raises:
            ValueError: If it has not seen every class.
        """
        found, count = [int(c) for c in classifier.classes_], len(self.bias)
        if found != list(range(count)):
            absent = sorted(set(range(count)) - set(found))
            raise ValueError(
                f'The linear probe has seen {len(found)} of {count} classes; '
                f'class {absent[0] if absent else found[-1]} is not among '
                'them: every class needs a training image.'
            )
        weight, bias = classifier.coef_, classifier.intercept_
        if len(weight) == 1:
            weight, bias = (np.concatenate([0 * x, x]) for x in (weight, bias))
        self.weight.copy_(torch.from_numpy(weight))
        self.bias.copy_(torch.from_numpy(bias))


def _arrays(images: Labelled) -> tuple[np.ndarray, np.ndarray]:
    return images.match.image.cpu().numpy(), images.labels.cpu().numpy()
