"""SkipTuning: each step leaves out classes that are far from its images."""

import math
from functools import partial

import torch
import torch.nn.functional as F
from mmengine.dist import all_reduce
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample

from mmdpt.utils.checks import check_count, check_weight

from ..part import ModelInfo
from .base import Chooser, SimilarityHead, labels

OWN = 10_000.0  # similarity of a label, above every other


@MODELS.register_module()
class ClassSkippingHead(SimilarityHead):
    """Cross-entropy over the classes that a step's images are likely to be.

    `Skip Tuning <https://arxiv.org/abs/2412.11509>`_, section 4.2 (class-wise
    skipping). Classes are ranked by their largest similarity to an image of
    the batch, the labels first. Of C classes the first R are kept; of the
    others those whose rank was drawn, more rarely the lower. The draw is made
    once, with the model, and is part of the checkpoint. No text of a class
    that is left out is encoded.

    Args:
        about (ModelInfo): The model.
        keep (float): Share of the classes that are always kept; above 1,
            their number.
        most (int): R is at most this.
        decay (float): Lambda: how slowly the others' chances fall.
        **kwargs: See :class:`SimilarityHead`.

    Raises:
        ValueError: If a value is out of range.
    """

    requires = frozenset({'frozen_text', 'shared_text'})
    saved_buffers = ('drawn',)
    takes_soft_labels = False
    skips_classes = True

    def __init__(
        self, about: ModelInfo, keep: float = 0.5, most: int = 50, decay: float = 0.3, **kwargs
    ):
        super().__init__(about, **kwargs)
        count = len(about.classes)
        for name, value in (('keep', keep), ('decay', decay)):
            check_weight(name, value)
            if not value:
                raise ValueError(f'{name} must be above 0, but is {value!r}.')
        check_count('most', most, 1, 10_000, 'classes that are always kept')
        always = count if keep == 1 else min(math.ceil(keep * count if keep < 1 else keep), most)
        self.always = min(always, count)
        drawn = torch.rand(count) < chances(count, self.always, decay)
        self.register_buffer('drawn', drawn)  # by rank

    def transfer(self, old) -> set[str]:
        return {'drawn'}

    def chooser(self, data_samples: list[DataSample]) -> Chooser:
        return partial(self.choose, labels(data_samples))

    @torch.no_grad()
    def choose(
        self, target: torch.Tensor, image: torch.Tensor, frozen_text: torch.Tensor
    ) -> list[int]:
        """The classes of a step, in ascending order.

        Args:
            target (Tensor): Labels, (B,).
            image (Tensor): Features of the step's images, (B, E).
            frozen_text (Tensor): Features of the templates, (C, E), normalised.

        Raises:
            ValueError: If labels are mixed, or would be left out.
        """
        if target.dim() > 1:
            self.check_soft_labels()
        likeness = F.normalize(image, dim=-1) @ frozen_text.t()
        likeness[torch.arange(len(target)), target] = OWN
        best = likeness.amax(0)
        all_reduce(best, 'max')  # of the images of all processes
        ranks = best.argsort(descending=True, stable=True)
        kept = ranks[self.drawn].sort().values.tolist()
        missing = set(target.tolist()) - set(kept)
        if missing:
            raise ValueError(
                f'A batch has images of {int((best == OWN).sum())} classes, but ClassSkippingHead '
                f'always keeps {self.always} of {len(ranks)}: raise model.head.keep (1 keeps all), '
                'lower train_dataloader.batch_size, or use SingleClassBatchSampler.'
            )
        return kept


def chances(count: int, always: int, decay: float) -> torch.Tensor:
    """How likely each rank is kept, (C,): the first ``always`` surely, the next
    one too, the last never."""
    left = count - always
    falling = (-torch.linspace(0, 5, left, dtype=torch.float64) / decay).exp() / decay
    share = torch.zeros(left, dtype=torch.float64)
    if left > 1:  # of one, the public code divides 0 by 0 and keeps it never
        share = (falling - falling.min()) / (falling.max() - falling.min())
    return torch.cat([torch.ones(always, dtype=torch.float64), share])
