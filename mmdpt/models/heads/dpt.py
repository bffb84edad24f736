"""DPT's losses: guidance (section 3.2) and the class-aware loss (section 3.3)."""

import torch
import torch.nn.functional as F
from mmengine.dist import all_reduce
from mmpretrain.registry import MODELS

from mmdpt.utils.checks import check_weight

from .base import TermsHead
from .match import similarity


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

    Attributes:
        needs (frozenset[str]): What it requires in every epoch.
        guides (bool): Whether the running epoch is a guided one.

    Raises:
        ValueError: If a number is negative.
    """

    needs = frozenset({'text_prompt'})

    def __init__(self, guided_epochs: float, logits_weight: float = 0.1, **kwargs):
        super().__init__(**kwargs)
        check_weight('guided_epochs', guided_epochs)
        check_weight('logits_weight', logits_weight)
        self.guided_epochs, self.logits_weight = guided_epochs, logits_weight
        self.guides, self._told = guided_epochs > 0, False

    @property
    def requires(self) -> frozenset[str]:
        """The frozen features in a guided epoch only."""
        return self.needs | {'frozen_image', 'frozen_text'} if self.guides else self.needs

    def set_epoch(self, epoch: int) -> None:
        # a compiled step depends on the answer, which changes once, and on no epoch
        self.guides, self._told = epoch < self.guided_epochs, True

    def terms(self, match, target):
        """Weight and value of each term of the loss in this epoch."""

        if not self._told:
            raise RuntimeError(
                f'{type(self).__name__} trains differently in the first epochs, but nobody said '
                "which epoch it is: add dict(type='EpochSeedHook') to custom_hooks, or call "
                'model.head.set_epoch(0) in a loop of your own.'
            )

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
        # After the guidance the log would keep repeating its last values.
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

    needs = frozenset({'text_prompt', 'evidence'})
    takes_soft_labels = False  # the class-aware loss: is *the* label selected?

    def __init__(self, guided_epochs: float, aux_weight: float = 0.3, **kwargs):
        super().__init__(guided_epochs, **kwargs)
        check_weight('aux_weight', aux_weight)
        self.aux_weight = aux_weight

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
    hit = class_ids == target[:, None]  # (B, K), at most one per row
    rank = hit.to(torch.uint8).argmax(dim=1)
    layers, batch = evidence.shape[:2]
    logits = evidence[:, torch.arange(batch, device=rank.device), rank]
    loss = F.cross_entropy(logits.flatten(0, 1), target.repeat(layers), reduction='none')
    mask = hit.any(dim=1).repeat(layers).to(loss)
    counts = torch.stack([mask.sum(), mask.new_full((), batch)])
    all_reduce(counts)  # one exchange for both
    hits, images = counts
    return (loss * mask).sum() / hits.clamp(min=1) * (images / batch)
