"""PromptSRC: prompted features and logits stay close to frozen CLIP's."""

import torch.nn.functional as F
from mmpretrain.registry import MODELS

from mmdpt.utils.checks import check_weight

from .base import TermsHead
from .match import similarity


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
