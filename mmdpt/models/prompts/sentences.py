"""Frozen text features of classes that sentences describe."""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F

from ..clip.packing import Packing
from ..clip.text_tower import TextTower
from ..part import ModelInfo
from .base import TextPrompt
from .templates import FrozenBank, prompt_tokens

AT_ONCE = 1000  # sentences


class ClassSentences(TextPrompt):
    """Any number of sentences of each class; nothing is learnt.

    `What does a platypus look like? Generating customized prompts for zero-shot image
    classification <https://arxiv.org/abs/2209.03320>`_ (CuPL).

    Args:
        about (ModelInfo): The model.
        sentences (Mapping[str, Sequence[str]]): Of each of its classes.

    Raises:
        ValueError: If a sentence is longer than the context.
    """

    def __init__(self, about: ModelInfo, sentences: Mapping[str, Sequence[str]]):
        super().__init__(about)
        tower = about.text_tower
        given = [(name, text) for name in about.classes for text in sentences[name]]
        tokens = [prompt_tokens(tower, name, text) for name, text in given]
        self.frozen = FrozenBank(tower, tokens)
        self.counts = [len(sentences[name]) for name in about.classes]
        rows = [[self.frozen.row[i] for i in prompt] for prompt in tokens]
        parts = [rows[start : start + AT_ONCE] for start in range(0, len(rows), AT_ONCE)]
        self.packings = torch.nn.ModuleList(map(Packing, parts))

    def bank(self, image=None) -> torch.Tensor:
        return self.frozen.embedding

    def features(self, tower: TextTower, dtype: torch.dtype) -> torch.Tensor:
        """The mean of the normalised features of each class's sentences.

        Args:
            tower (TextTower): Encodes them.
            dtype (torch.dtype): Of the features.

        Returns:
            Tensor: (C, E), normalised.
        """
        parts = [tower(self(packing=packing))[0].to(dtype) for packing in self.packings]
        sentences = F.normalize(torch.cat(parts), dim=-1).split(self.counts)
        return F.normalize(torch.stack([part.mean(dim=0) for part in sentences]), dim=-1)
