"""From similarities to logits, losses and predictions."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from mmengine.dist import all_reduce, get_world_size
from mmengine.logging import MessageHub
from mmpretrain.evaluation import Accuracy
from mmpretrain.models.heads import ClsHead
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample

from .model_info import Part


class Match(NamedTuple):
    """What one forward pass produced. No feature is normalised.

    Attributes:
        image (Tensor): Image features, prompted where the method does,
            (B, E).
        text (Tensor): Text features, learnt where the method does, (C, E), or
            (B, C, E) where they depend on the image.
        scale (Tensor): CLIP's logit scale, a positive scalar.
        frozen_image (Tensor, optional): Features of the frozen, unprompted
            image tower, (B, E).
        frozen_text (Tensor, optional): Features of the hand-written
            templates, (C, E), normalised.
        class_ids (Tensor, optional): Classes selected for each image, most
            likely first, (B, K).
        evidence (Tensor, optional): Class logits of every class-aware layer
            and prompt, (M, B, K, C).
        prompt_tokens (Tensor, optional): What became of the visual prompt's
            tokens, after the tower's last LayerNorm, (B, n, D).
    """

    image: torch.Tensor
    text: torch.Tensor
    scale: torch.Tensor
    frozen_image: torch.Tensor | None = None
    frozen_text: torch.Tensor | None = None
    class_ids: torch.Tensor | None = None
    evidence: torch.Tensor | None = None
    prompt_tokens: torch.Tensor | None = None


def similarity(image: torch.Tensor, text: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """Scaled cosine similarity.

    Args:
        image (Tensor): Image features, (B, E).
        text (Tensor): Text features, (C, E) or (B, C, E).
        scale (Tensor): Factor.

    Returns:
        Tensor: Logits (B, C).
    """
    image, text = F.normalize(image, dim=-1), F.normalize(text, dim=-1)
    if text.dim() == 3:
        return scale * torch.einsum('be,bce->bc', image, text)
    return scale * image @ text.t()


@MODELS.register_module()
class SimilarityHead(Part, ClsHead):
    """Classify by scaled cosine similarity (CLIP, CoOp, VPT).

    Args:
        loss (dict): MMPretrain's loss of the logits. Defaults to
            cross-entropy, averaged over the batch.
        **kwargs: ``topk``, ``cal_acc`` and ``init_cfg`` of MMPretrain's
            ``ClsHead``.

    Attributes:
        requires (frozenset[str]): What it needs in this epoch's training:
            fields of :class:`Match` that are not computed for every method
            ('frozen_image', 'frozen_text', 'evidence', 'prompt_tokens'),
            'text_prompt' (the text features are learnt) and 'shared_text'
            (they are the same for all images).
        takes_soft_labels (bool): Whether its loss is defined for the mixed
            labels of batch augmentations.
        second_loss (str, optional): Name of a loss that is not added to the
            others but handed to the optimizer's wrapper beside them.
    """

    takes_soft_labels = True
    requires: frozenset[str] = frozenset()
    second_loss = None

    def check_soft_labels(self) -> None:
        """Raise ValueError unless labels may be mixed."""
        if not self.takes_soft_labels:
            raise ValueError(
                f'{type(self).__name__} needs one label an image, which batch '
                'augmentation (mixup, cutmix) mixes: take it out of '
                'model.train_cfg.augments, or take a head without class-aware '
                'loss, such as GuidedHead.'
            )
        if self.cal_acc:
            raise ValueError(
                'cal_acc=True needs one label an image, which '
                'batch augmentation (mixup, cutmix) mixes: take '
                'one of the two out.'
            )

    def forward(self, match: Match) -> torch.Tensor:
        """Logits (B, C)."""
        return similarity(match.image, match.text, match.scale)

    def loss(self, match: Match, data_samples: list[DataSample], **kwargs) -> dict:
        """``loss``, and with ``cal_acc`` the accuracy on the batch.

        Args:
            match (Match): The forward pass.
            data_samples (list[DataSample]): With ``gt_label``, or with
                ``gt_score`` where labels were mixed.
        """
        logits, target = self(match), labels(data_samples)
        losses = dict(loss=self.loss_module(logits, target, avg_factor=len(target), **kwargs))
        return {**losses, **self.batch_accuracy(logits, target)}

    @torch.no_grad()
    def batch_accuracy(self, logits: torch.Tensor, target: torch.Tensor) -> dict:
        """``accuracy_top-K`` in per cent where ``cal_acc`` asks for it.

        MMPretrain's head counts no hit whose logit is at most 0, which scaled
        cosines may be; here there is no such threshold.
        """
        if not self.cal_acc:
            return {}
        found = Accuracy.calculate(logits, target, self.topk, thrs=(None,))
        return {f'accuracy_top-{k}': a for k, (a,) in zip(self.topk, found)}


def check_head(head: dict) -> None:
    """Raise ValueError unless a head's config is one of a head for CLIP."""
    kind = head.get('type')
    kind = MODELS.get(kind) if isinstance(kind, str) else kind
    if kind is not None and not issubclass(kind, SimilarityHead):
        raise ValueError(
            f'model.head: {kind.__name__} learns a classifier of its own, and '
            'PromptedCLIP compares images with text: use SimilarityHead here, '
            f'or {kind.__name__} in ImageClassifier with '
            "backbone.type='PromptedCLIPBackbone'."
        )


def labels(data_samples: list[DataSample]) -> torch.Tensor:
    """Labels (B,), or mixed ones (B, C) after batch augmentation."""
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

    def loss(self, match: Match, data_samples: list[DataSample], **kwargs) -> dict:
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


@MODELS.register_module()
class GuidedHead(TermsHead):
    """Train under the guidance of frozen CLIP first (DPT, section 3.2).

    In the first epochs: CE(frozen image, text) + CE(image, frozen text) +
    ``logits_weight`` CE(image, text). After that: CE(image, text).

    Args:
        guided_epochs (int): Number of guided epochs.
        logits_weight (float): Weight of CE(image, text) while guided.
            Defaults to 0.1.
        **kwargs: See :class:`SimilarityHead`.

    Raises:
        ValueError: If a number is negative.
    """

    def __init__(self, guided_epochs: int, logits_weight: float = 0.1, **kwargs):
        super().__init__(**kwargs)
        check_weight('guided_epochs', guided_epochs)
        check_weight('logits_weight', logits_weight)
        self.guided_epochs = guided_epochs
        self.logits_weight = logits_weight

    @property
    def requires(self) -> frozenset[str]:
        """The frozen features in a guided epoch (from 0) only."""
        frozen = ('frozen_image', 'frozen_text') if self.guides else ()
        return frozenset(('text_prompt', *frozen))

    @property
    def guides(self) -> bool:
        """Whether the running epoch (from 0) is a guided one."""
        epoch = MessageHub.get_current_instance().get_info('epoch', 0)
        return epoch < self.guided_epochs

    def terms(self, match, target):
        """Weight and value of each term of the loss in this epoch."""

        def ce(image, text):
            return self.cross_entropy(similarity(image, text, match.scale), target)

        logits = ce(match.image, match.text)
        if not self.guides:
            return dict(logits=(1.0, logits))
        return dict(
            text_guide=(1.0, ce(match.frozen_image, match.text)),
            image_guide=(1.0, ce(match.image, match.frozen_text)),
            logits=(self.logits_weight, logits),
        )

    def loss(self, match, data_samples, **kwargs):
        losses = super().loss(match, data_samples, **kwargs)
        # After the guidance the log would repeat its last values for ever.
        for name in ('loss_text_guide', 'loss_image_guide'):
            losses.setdefault(name, match.scale.new_zeros(()))
        return losses


@MODELS.register_module()
class DPTHead(GuidedHead):
    """Guided head with the class-aware loss (DPT, section 3.3).

    Args:
        guided_epochs (int): Number of guided epochs.
        aux_weight (float): Weight alpha of the class-aware loss. Defaults to
            0.3.
        **kwargs: See :class:`GuidedHead`.
    """

    takes_soft_labels = False  # the class-aware loss: is *the* label selected?

    def __init__(self, guided_epochs: int, aux_weight: float = 0.3, **kwargs):
        super().__init__(guided_epochs, **kwargs)
        check_weight('aux_weight', aux_weight)
        self.aux_weight = aux_weight

    @property
    def requires(self) -> frozenset[str]:
        return super().requires | {'evidence'}

    def terms(self, match, target):
        terms = super().terms(match, target)
        terms['aux'] = (self.aux_weight, class_aware_loss(match.evidence, match.class_ids, target))
        return terms


def class_aware_loss(
    evidence: torch.Tensor, class_ids: torch.Tensor, target: torch.Tensor
) -> torch.Tensor:
    """Cross-entropy of the prompts that belong to the labels.

    Averaged over all (layer, image) pairs whose label is among the selected
    classes; zero if there is none. It is a masked mean, not a filtered one:
    every parameter takes part in every step, as data-parallel training needs.
    There, pairs are counted over all processes, so that the average of their
    losses, weighted by :func:`batch_share`, is the loss of the whole batch.

    Args:
        evidence (Tensor): (M, B, K, C).
        class_ids (Tensor): (B, K).
        target (Tensor): Labels, (B,).

    Returns:
        Tensor: A scalar.
    """
    hit = class_ids == target[:, None]  # (B, K), at most one a row
    rank = hit.to(torch.uint8).argmax(dim=1)
    layers, batch = evidence.shape[:2]
    logits = evidence[:, torch.arange(batch, device=rank.device), rank]
    loss = F.cross_entropy(logits.flatten(0, 1), target.repeat(layers), reduction='none')
    mask = hit.any(dim=1).repeat(layers).to(loss)
    counts = torch.stack([mask.sum(), mask.new_tensor(float(batch))])
    all_reduce(counts)  # one exchange for both
    hits, images = counts
    return (loss * mask).sum() / hits.clamp(min=1) * (images / batch)


def batch_share(images: int, like: torch.Tensor):
    """What the mean over this process's images weighs in the whole batch.

    Data-parallel training averages over processes. That is the mean over the
    images of all only if each mean is weighted by the number of its images,
    times the number of processes, over the number of all images.

    Args:
        images (int): In the batch of this process.
        like (Tensor): On the device, of the type of the losses.

    Returns:
        float | Tensor: 1 for equal shares. Every process must ask together.
    """
    world = get_world_size()
    if world == 1:
        return 1.0
    total = like.new_tensor(float(images))
    all_reduce(total)
    return images * world / total


def check_weight(name: str, value: float) -> None:
    """Raise ValueError unless a weight is a number of at least 0."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value >= 0:
        raise ValueError(f'{name} must be a number of at least 0, but is {value!r}.')
