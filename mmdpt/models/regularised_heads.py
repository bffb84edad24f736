"""Heads that keep what is learnt close to frozen CLIP."""

import torch
import torch.nn.functional as F
from mmpretrain.registry import MODELS

from .heads import TermsHead, check_weight, similarity


@MODELS.register_module()
class KgCoOpHead(TermsHead):
    """Cross-entropy, and the distance of the learnt to the hand-written
    prompts' text features.

    `Visual-Language Prompt Tuning with Knowledge-guided Context Optimization
    <https://arxiv.org/abs/2303.13283>`_, equation 5, as their code has it:
    one minus the mean cosine.

    Args:
        weight (float): Of the distance. Defaults to 8.
        **kwargs: See :class:`SimilarityHead`.
    """

    requires = frozenset(('frozen_text', 'text_prompt', 'shared_text'))

    def __init__(self, weight: float = 8.0, **kwargs):
        super().__init__(**kwargs)
        check_weight('weight', weight)
        self.weight = weight

    def terms(self, match, target):
        cosine = F.cosine_similarity(match.text, match.frozen_text, dim=-1)
        return dict(
            logits=(1.0, self.cross_entropy(self(match), target)),
            kg=(self.weight, 1 - cosine.mean()),
        )


@MODELS.register_module()
class PromptSRCHead(TermsHead):
    """Cross-entropy, and the distance of features and logits to frozen CLIP's.

    `Self-regulating Prompts <https://arxiv.org/abs/2307.06948>`_, equations
    3-5. As in their code the divergence of the logits is averaged over images
    and classes.

    Args:
        text_weight (float): Of the mean absolute difference of the normalised
            text features. Defaults to 25.
        image_weight (float): The same for the image. Defaults to 10.
        **kwargs: See :class:`SimilarityHead`.
    """

    requires = frozenset(('frozen_image', 'frozen_text', 'text_prompt', 'shared_text'))

    def __init__(self, text_weight: float = 25.0, image_weight: float = 10.0, **kwargs):
        super().__init__(**kwargs)
        check_weight('text_weight', text_weight)
        check_weight('image_weight', image_weight)
        self.text_weight = text_weight
        self.image_weight = image_weight

    def terms(self, match, target):

        def distance(learnt, frozen):
            return F.l1_loss(F.normalize(learnt, dim=-1), F.normalize(frozen, dim=-1))

        logits = self(match)
        frozen = similarity(match.frozen_image, match.frozen_text, match.scale)
        divergence = F.kl_div(
            logits.log_softmax(1), frozen.log_softmax(1), log_target=True, reduction='none'
        ).mean()
        return dict(
            logits=(1.0, self.cross_entropy(logits, target)),
            l1_text=(self.text_weight, distance(match.text, match.frozen_text)),
            l1_image=(self.image_weight, distance(match.image, match.frozen_image)),
            kl_logits=(1.0, divergence),
        )


@MODELS.register_module()
class ProGradHead(TermsHead):
    """Cross-entropy, and beside it, never added, the agreement with zero-shot
    CLIP, whose gradient the optimizer's ``ProGradOptimWrapper`` looks at.

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
