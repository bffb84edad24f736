"""What a head that learns from kept image features is given, and what it may do."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch

from mmdpt.utils.checks import check_least, check_weights

from .base import SimilarityHead
from .match import Match


class Labelled(NamedTuple):
    """Labelled images, as features.

    Attributes:
        match (Match): Of N images.
        labels (Tensor): (N,).
    """

    match: Match
    labels: torch.Tensor


class FeatureSpace(NamedTuple):
    """All that is kept of a few-shot task.

    Attributes:
        support (Labelled): The S training images in V views, view by view, V * S rows.
        views (int): V.
        val (Callable): Gives the validation images, :class:`Labelled`.
        templates (Callable): Gives the features of the filled templates, (T, C, E), not
            normalised.
    """

    support: Labelled
    views: int
    val: Callable[[], Labelled]
    templates: Callable[[], torch.Tensor]


class Found(NamedTuple):
    """The outcome of a search on validation images.

    Attributes:
        values (dict[str, float]): The values found, by name.
        accuracy (Tensor): Per cent, an axis per name in the same order.
    """

    values: dict[str, float]
    accuracy: torch.Tensor


class FeatureHead(SimilarityHead):
    """Base of the heads that start from, or end with, kept features.

    :class:`FeatureTrainLoop` calls :meth:`fit` before the first epoch,
    :meth:`end_epoch` after each and :meth:`search` after the last. Options of
    ``fit`` and ``search`` come from the loop's config.
    """

    requires = frozenset({'fixed_image'})

    def fit(self, space: FeatureSpace, **options: Any) -> Found | None:
        """Take from the support set what needs no optimizer."""
        raise NotImplementedError

    def check(self, images: int, views: int, fit: dict, search: dict) -> None:
        """Refuse what cannot work, before any image is looked at.

        Args:
            images (int): Number of training images.
            views (int): V, for ``fit``.
            fit (dict): Options of ``fit``; they have the right names.
            search (dict): Options of ``search``, likewise.

        Raises:
            ValueError: If a value is out of range, or does not go with the others.
        """

    def chooses(self, fit: dict) -> bool:
        """Whether ``fit`` with these options asks for validation images."""
        return False

    def search(self, val: Labelled, **options: Any) -> Found:
        """Choose settings on validation images, and use them."""
        raise ValueError(
            f'{type(self).__name__} has nothing to search: take search out of train_cfg.'
        )

    def end_epoch(self) -> None:
        """Update what changes once per epoch."""

    def extra_rows(self, space: FeatureSpace, generator: torch.Generator) -> Labelled | None:
        """Further rows of the pool of features, in addition to the images'."""
        return None

    def order(self, rows: int, generator: torch.Generator) -> torch.Tensor:
        """Rows of the pool in the order of an epoch."""
        return torch.randperm(rows, generator=generator)


def check_grid(search: dict, axes: int) -> None:
    """Raise unless the options of a search over a grid are in range."""
    for name, values in search.items():
        check_weights(f'train_cfg.search.{name}', values)
        if len(values) != axes:
            raise ValueError(f'train_cfg.search.{name} must have {axes} values, not {len(values)}.')
    for count in search.get('steps', ()):
        check_least('train_cfg.search.steps', count, 1)


def percent(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Accuracy of logits (N, C), a scalar."""
    return 100 * logits.argmax(1).eq(labels).double().mean()


def grid(scale: float, steps: int) -> list[float]:
    """Values from 0.1 in equal steps; the upper end is not reached."""
    return [i * (scale - 0.1) / steps + 0.1 for i in range(steps)]


def best(accuracy: torch.Tensor, **axes: list[float]) -> Found:
    """The first of the best settings of a grid.

    Args:
        accuracy (Tensor): An axis per setting, the outermost loop first.
        **axes (list[float]): The settings' values.
    """
    places = torch.unravel_index(accuracy.argmax(), accuracy.shape)  # the first
    return Found({k: v[int(i)] for (k, v), i in zip(axes.items(), places)}, accuracy)


def class_means(rows: torch.Tensor, labels: torch.Tensor, num_classes: int) -> torch.Tensor:
    """Mean of each class's rows, (C, E).

    Raises:
        ValueError: If a class has none.
    """
    counts = torch.bincount(labels, minlength=num_classes)
    if not counts.all():
        raise ValueError(
            f'class {int(counts.argmin())} of {num_classes} has no training image: every class '
            'needs one.'
        )
    return class_sums(rows, labels, num_classes) / counts[:, None]


def class_sums(rows: torch.Tensor, labels: torch.Tensor, num_classes: int) -> torch.Tensor:
    """Sum of each class's rows, (C, E)."""
    return rows.new_zeros(num_classes, rows.shape[1]).index_add_(0, labels, rows)
