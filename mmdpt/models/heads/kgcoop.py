"""KgCoOp: learnt text features stay close to the hand-written ones."""

import torch.nn.functional as F
from mmpretrain.registry import MODELS

from mmdpt.utils.checks import check_weight

from .base import TermsHead


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
