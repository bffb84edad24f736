"""ProGrad: a second loss, whose gradient the first must not oppose."""

import torch
import torch.nn.functional as F
from mmpretrain.registry import MODELS

from mmdpt.utils.checks import check_weight

from .base import TermsHead
from .match import similarity


@MODELS.register_module()
class ProGradHead(TermsHead):
    """Cross-entropy, and separately, never added, the agreement with zero-shot
    CLIP, whose gradient the optimizer's ``ProGradOptimWrapper`` compares with.

    `Prompt-aligned Gradient for Prompt Tuning
    <https://arxiv.org/abs/2205.14865>`_, equations 4-5.

    Args:
        temperature (float): T; the second loss is T squared times the
            cross-entropy between the softmax of zero-shot logits / T and that
            of logits / T. Defaults to 1.
        **kwargs: See :class:`SimilarityHead`.
    """

    requires = frozenset(('frozen_image', 'frozen_text', 'text_prompt'))
    second_loss = 'kl'

    def __init__(self, temperature: float = 1.0, **kwargs):
        super().__init__(**kwargs)
        check_weight('temperature', temperature)
        if not temperature:
            raise ValueError('temperature must not be 0.')
        self.temperature = temperature

    def terms(self, match, target):
        return dict(logits=(1.0, self.cross_entropy(self(match), target)))

    def agreement(self, match) -> torch.Tensor:
        """The second loss."""
        frozen = similarity(match.frozen_image, match.frozen_text, match.scale)
        t = self.temperature
        return t**2 * F.cross_entropy(self(match) / t, (frozen / t).softmax(dim=1))

    def loss(self, match, data_samples, **kwargs):
        """``loss_logits``, and ``kl``, which is not part of their sum."""
        return dict(super().loss(match, data_samples, **kwargs), kl=self.agreement(match))
