"""Base of the heads that keep the few labelled images: Tip-Adapter, APE."""

from collections.abc import Sequence

import torch
import torch.nn as nn
import torch.nn.functional as F

from mmdpt.utils.checks import check_count, check_weight
from mmdpt.utils.values import Many

from ..part import ModelInfo
from .feature_space import FeatureHead, FeatureSpace, Found, best, check_grid


class CacheHead(FeatureHead):
    """The normalised features of the training images are keys, their labels values.

    Args:
        about (ModelInfo): The model.
        num_keys (int): S, number of training images.
        **kwargs: See :class:`SimilarityHead`.

    Attributes:
        method (str): Its name in messages.

    Raises:
        ValueError: If a value is out of range.
    """

    method = ''
    axes = 0  # of the grid that ``search`` tries

    def __init__(self, about: ModelInfo, num_keys: Many, **kwargs):
        super().__init__(about, **kwargs)
        check_count('num_keys', num_keys, 1, 10**7, 'training images')
        self.num_keys, self.num_classes = num_keys, len(about.classes)
        self.register_buffer('labels', torch.zeros(num_keys, dtype=torch.long))
        self.keys = nn.Parameter(torch.zeros(num_keys, about.image_tower.embed_dim))

    def set_weights(self, **weights: float) -> None:
        """Set the weights of the formula, each a buffer of its name."""
        for name, value in weights.items():
            check_weight(name, value)
            self.register_buffer(name, torch.tensor(float(value), dtype=torch.float64))

    def choose(self, accuracy: torch.Tensor, **axes: list[float]) -> Found:
        """Take the first of the best weights of a grid; where none is ever right, 0 of all, as
        the authors' code does: zero-shot alone."""
        found = best(accuracy, **axes)
        if not accuracy.any():
            found = Found(dict.fromkeys(axes, 0.0), accuracy)
        for name, value in found.values.items():
            getattr(self, name).fill_(value)
        return found

    def transfer(self, old: Sequence[str]) -> set[str]:
        raise ValueError(
            f'transfer=True cannot carry the cache of {self.method} to other classes: it holds '
            f'labelled images of the {len(old)} old ones. Fill a new one.'
        )

    def check(self, images: int, views: int, fit: dict, search: dict) -> None:
        self.check_room(images)
        check_grid(search, self.axes)

    def check_room(self, images: int) -> None:
        """Raise ValueError if the cache has room for another number of images."""
        if images != self.num_keys:
            raise ValueError(
                f'{type(self).__name__} has room for {self.num_keys} images, but the training set '
                f'has {images}: set model.head.num_keys={images}.'
            )

    @torch.no_grad()
    def fit(self, space: FeatureSpace) -> None:
        """Fill the cache with the views' mean features.

        Raises:
            ValueError: If the cache has room for another number of images.
        """
        match, labels = space.support
        views = match.image.view(space.views, -1, match.image.shape[1])
        self.check_room(views.shape[1])
        self.keys.copy_(F.normalize(views.mean(0), dim=-1))
        self.labels.copy_(labels[: self.num_keys])
