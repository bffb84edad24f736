"""A classifier that starts at the text features (stage 2 of 2SFS)."""

from collections.abc import Callable, Sequence

import torch
import torch.nn as nn
import torch.nn.functional as F
from mmpretrain.registry import MODELS

from ..part import ModelInfo
from .base import SimilarityHead
from .match import Match, similarity


@MODELS.register_module()
class TextStartHead(SimilarityHead):
    """Classify by text features; by rows learnt from them on in a later stage.

    `Rethinking Few-Shot Adaptation of Vision-Language Models in Two Stages
    <https://arxiv.org/abs/2503.11609>`_ (2SFS). The rows W (C, E) start at the
    normalised text features of the adapted tower when a stage begins in which
    the head learns (``stages`` of the config); before, there are none, and the
    text features classify. Logits are s cos(f, W): lengths of rows do not
    matter, but decay acts on them.

    Selective inference: after ``transfer=True``, classes whose names are
    exactly those of the training keep their rows, others are classified by
    their text features.

    Args:
        about (ModelInfo): The model.
        **kwargs: See :class:`SimilarityHead`.
    """

    requires = frozenset({'shared_text'})
    saved_buffers = ('weight', 'started')

    def __init__(self, about: ModelInfo, **kwargs):
        super().__init__(about, **kwargs)
        shape = len(about.classes), about.image_tower.embed_dim
        # nothing to learn until its stage begins
        self.weight = nn.Parameter(torch.zeros(shape), requires_grad=False)
        self.register_buffer('started', torch.zeros((), dtype=torch.long))
        self.classes = list(about.classes)
        self.register_buffer('own_rows', None, persistent=False)

    def begin_stage(self, learns: bool, before: bool, text: Callable[[], torch.Tensor]) -> None:
        """Start the rows at the text features where the head begins to learn."""
        if before:
            return
        self.started.fill_(learns)
        if learns:
            self.weight.data = F.normalize(text(), dim=-1).to(self.weight)
            self.own_rows = None

    def transfer(self, old: Sequence[str]) -> set[str]:
        """Keep the rows of the old classes, and which of the new are among them."""
        size = self.weight.shape[1]
        self.weight = nn.Parameter(self.weight.new_zeros(len(old), size), requires_grad=False)
        place = {name: row for row, name in enumerate(old)}
        rows = [place.get(name, -1) for name in self.classes]
        self.own_rows = torch.tensor(rows, device=self.weight.device)
        return set()

    def classifier(self, text: torch.Tensor) -> torch.Tensor:
        """Rows (C, E), not normalised, given text features (C, E)."""
        if self.training:
            return self.weight if self.weight.requires_grad else text
        own, known = self.weight, self.started > 0
        if self.own_rows is not None:
            own = F.embedding(self.own_rows.clamp(min=0), own)
            known = known & (self.own_rows >= 0)[:, None]
        return torch.where(known, own, F.normalize(text, dim=-1).to(own))

    def forward(self, match: Match) -> torch.Tensor:
        return similarity(match.image, self.classifier(match.text), match.scale)
