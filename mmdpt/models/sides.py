"""What images pass through."""

from collections.abc import Set
from typing import Any, NamedTuple

import torch

from .prompts.base import VisualPrompt
from .tuning.base import Tuning


class Sides(NamedTuple):
    """What images pass through on their way to a :class:`Match`.

    Attributes:
        image_tower (nn.Module): The frozen image tower.
        text (TextFeatures): Gives ``frozen()`` and ``learnt(image)``
            features, and says what it ``requires``.
        scale (Tensor): CLIP's logit scale; features get its type.
        visual_prompt (VisualPrompt, optional): What enters the image tower.
        tuning (Tuning, optional): What learns in the towers themselves.
        teacher (Teacher, optional): A second frozen model.
    """

    image_tower: Any
    text: Any
    scale: torch.Tensor
    visual_prompt: VisualPrompt | None = None
    tuning: Tuning | None = None
    teacher: Any = None

    @property
    def adapts_images(self) -> bool:
        """Whether image features differ from frozen CLIP's."""
        tuned = self.tuning is not None and self.tuning.changes_image
        return self.visual_prompt is not None or tuned

    @property
    def constant_below(self) -> int:
        """The first block of the image tower that anything learnt enters."""
        parts = [self.visual_prompt, self.tuning]
        return min(part.constant_below for part in parts if part is not None)

    def required(self, by_head: Set[str]) -> Set[str]:
        """What must be computed for all parts, given what the head requires."""
        visual = frozenset() if self.visual_prompt is None else self.visual_prompt.requires
        return by_head | self.text.requires | visual
