"""From similarities to logits, losses and predictions."""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from mmengine.dist import all_reduce, get_world_size
from mmpretrain.evaluation import Accuracy
from mmpretrain.models.heads import ClsHead
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample

from ..part import ModelInfo, Part
from .class_sampler import ClassSampler
from .match import Match, similarity

Chooser = Callable[[torch.Tensor, torch.Tensor], Sequence[int]]


@MODELS.register_module()
class SimilarityHead(Part, ClsHead):
    """Classify by scaled cosine similarity (CLIP, CoOp, VPT).

    Args:
        about (ModelInfo): The model.
        loss (dict): MMPretrain's loss of the logits. Defaults to
            cross-entropy, averaged over the batch.
        sample_classes (int, optional): Train with a :class:`ClassSampler`: each
            step's softmax is over the labels of its images and this many other
            classes, whose text alone is encoded. Biased, unless it is at least
            the number of classes; for heads whose logits and loss are this one's.
        **kwargs: ``topk``, ``cal_acc`` and ``init_cfg`` of MMPretrain's
            ``ClsHead``.

    Attributes:
        requires (frozenset[str]): What it needs in this epoch's training, see
            :class:`Part`.
        takes_soft_labels (bool): Whether its loss is defined for the mixed
            labels of batch augmentations.
        reads_labels (bool): Whether it learns from labels.
        skips_classes (bool): Whether its :meth:`chooser` leaves out classes.
        second_loss (str, optional): Name of a loss that is not added to the
            others but handed to the optimizer's wrapper as well.
    """

    takes_soft_labels = True
    reads_labels = True
    skips_classes = False
    second_loss: str | None = None

    def __init__(self, about: ModelInfo | None = None, sample_classes: int | None = None, **kwargs):
        if about is None:
            raise ValueError(
                f'{type(self).__name__} compares images with text, which only PromptedCLIP has: '
                "set model.type='PromptedCLIP', or use a head of MMPretrain here, such as "
                'LinearClsHead.'
            )
        super().__init__(**kwargs)
        self.sampler = None
        if sample_classes is not None:
            self._check_sampling()
            self.requires = frozenset({'shared_text'})
            self.skips_classes, self.takes_soft_labels = True, False
            self.sampler = ClassSampler(len(about.classes), sample_classes)

    def _check_sampling(self) -> None:
        own = [
            name
            for name in ('forward', 'loss', 'chooser', 'requires')
            if getattr(type(self), name) is not getattr(SimilarityHead, name)
        ]
        if own:
            raise ValueError(
                f'{type(self).__name__} cannot sample classes: its {own[0]} is its own, and reads '
                'all of them. Leave out model.head.sample_classes, or use SimilarityHead.'
            )

    def set_epoch(self, epoch: int) -> None:
        """Learn which epoch of the training begins, from 0."""

    def chooser(self, data_samples: list[DataSample]) -> Chooser | None:
        """What chooses the classes of a training step, see
        :func:`forward_pass`; None: all are in it."""
        if self.sampler is None or self.sampler.takes_all:
            return None
        return partial(self.sampler.choose, labels(data_samples))

    def check_soft_labels(self) -> None:
        """Raise ValueError unless labels may be mixed."""
        if not self.takes_soft_labels:
            raise ValueError(
                f'{type(self).__name__} needs one label per image, which batch '
                'augmentation (mixup, cutmix) mixes: take it out of '
                'model.train_cfg.augments, or take a head without class-aware '
                'loss, such as GuidedHead.'
            )
        if self.cal_acc:
            raise ValueError(
                'cal_acc=True needs one label per image, which '
                'batch augmentation (mixup, cutmix) mixes: take '
                'one of the two out.'
            )

    def forward(self, match: Match) -> torch.Tensor:
        """Logits (B, C)."""
        return similarity(match.image, match.text, match.scale)

    def _get_predictions(self, cls_score: torch.Tensor, data_samples: list[DataSample] | None):
        """MMPretrain's, of finite scores only; the samples get their logits, too.

        Raises:
            FloatingPointError: If a score is NaN or infinite.
        """
        if not torch.isfinite(cls_score).all():
            raise FloatingPointError(
                'the scores are not finite, so they say nothing: prompts or weights hold values '
                'too large to compute with. Choose another checkpoint, or another precision'
            )
        samples = super()._get_predictions(cls_score, data_samples)
        for sample, logits in zip(samples, cls_score):
            sample.set_field(logits, 'pred_logits')
        return samples

    def loss(self, match: Match, data_samples: list[DataSample] | torch.Tensor, **kwargs) -> dict:
        """``loss``, and with ``cal_acc`` the accuracy on the batch; among the
        step's classes where some were chosen.

        Args:
            match (Match): The forward pass.
            data_samples (list[DataSample] | Tensor): With ``gt_label``, or with
                ``gt_score`` where labels were mixed; or these alone.
        """
        logits, target = self(match), labels(data_samples)
        if match.classes is not None:
            chosen = torch.tensor(match.classes, device=target.device)
            target = torch.searchsorted(chosen, target)
        losses = dict(loss=self.loss_module(logits, target, avg_factor=len(target), **kwargs))
        return {**losses, **self.batch_accuracy(logits, target)}

    @torch.no_grad()
    def batch_accuracy(self, logits: torch.Tensor, target: torch.Tensor) -> dict:
        """``accuracy_top-K`` in per cent where ``cal_acc`` asks for it.

        MMPretrain's head counts no hit whose logit is at most 0, as scaled
        cosines may be; here there is no such threshold.
        """
        if not self.cal_acc:
            return {}
        found = Accuracy.calculate(logits, target, self.topk, thrs=(None,))
        return {f'accuracy_top-{k}': a for k, (a,) in zip(self.topk, found)}


def check_head(head: dict) -> None:
    """Raise ValueError unless a head's config is that of a head for CLIP."""
    kind = head.get('type')
    kind = MODELS.get(kind) if isinstance(kind, str) else kind
    if kind is not None and not issubclass(kind, SimilarityHead):
        raise ValueError(
            f'model.head: {kind.__name__} learns a classifier of its own, and '
            'PromptedCLIP compares images with text: use SimilarityHead here, '
            f'or {kind.__name__} in ImageClassifier with '
            "backbone.type='PromptedCLIPBackbone'."
        )


def labels(data_samples: list[DataSample] | torch.Tensor) -> torch.Tensor:
    """Labels (B,), or mixed ones (B, C) after batch augmentation, of samples that may be
    these labels already."""
    if isinstance(data_samples, torch.Tensor):
        return data_samples
    if 'gt_score' in data_samples[0]:
        return torch.stack([i.gt_score for i in data_samples])
    return torch.cat([i.gt_label for i in data_samples])


class TermsHead(SimilarityHead):
    """Base of the heads whose loss has several terms."""

    def terms(self, match: Match, target: torch.Tensor) -> dict[str, tuple[float, torch.Tensor]]:
        """Weight and value of each term of the loss, by name.

        Args:
            match (Match): The forward pass.
            target (Tensor): Labels, (B,), or mixed ones, (B, C).
        """
        raise NotImplementedError

    def cross_entropy(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """The configured loss of logits (B, C), averaged over the batch."""
        return self.loss_module(logits, target, avg_factor=len(target))

    def loss(self, match: Match, data_samples: list[DataSample] | torch.Tensor, **kwargs) -> dict:
        """Weighted loss terms as ``loss_NAME``, and with ``cal_acc`` the
        accuracy on the batch.

        Raises:
            ValueError: If labels are mixed that must not be.
        """
        target = labels(data_samples)
        if target.dim() > 1:
            self.check_soft_labels()
        losses = {
            f'loss_{name}': weight * value
            for name, (weight, value) in self.terms(match, target).items()
        }
        if self.cal_acc:
            losses.update(self.batch_accuracy(self(match), target))
        return losses


def batch_share(
    losses: dict[str, torch.Tensor], images: int, like: torch.Tensor
) -> dict[str, torch.Tensor]:
    """Losses of this process's images, weighted by their share in the whole batch.

    Data-parallel training averages over processes. That is the mean over the
    images of all only if each mean is weighted by the number of its images,
    times the number of processes, over the number of all images.

    Args:
        losses (dict[str, Tensor]): Means over the images.
        images (int): In the batch of this process.
        like (Tensor): On the device, of the type of the losses.

    Returns:
        dict[str, Tensor]: The same of one process. Every process must ask together.
    """
    world = get_world_size()
    if world == 1:
        return losses
    total = like.new_full((), images)
    all_reduce(total)
    return {name: value * (images * world / total) for name, value in losses.items()}
