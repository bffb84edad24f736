"""What a part of the classifier may know of the whole."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch


class ModelInfo(NamedTuple):
    """Handed once to every part (``couple``), before anything is trained.

    Attributes:
        width (int): D, size of an image token; 0 where there are none.
        depth (int): Blocks of the image tower.
        text_depth (int): Blocks of the text tower.
        embed_dim (int): E, size of the joint space.
        classes (list[str]): The class names.
        templates (list[str]): The hand-written prompts.
        frozen_text (Callable): Gives the features of the filled templates,
            (C, E), normalised.
        image_proj (Tensor, optional): The image tower's frozen projection,
            (D, E).
        text_prompt (TextPrompt, optional): The learnt text prompt.
    """

    width: int
    depth: int
    text_depth: int
    embed_dim: int
    classes: list[str]
    templates: list[str]
    frozen_text: Callable[[], torch.Tensor]
    image_proj: torch.Tensor | None = None
    text_prompt: Any = None


class Part:
    """What prompts, heads and low-rank updates have in common."""

    def couple(self, about: ModelInfo) -> None:
        """Get to know the model, and make what depends on it, before anything
        is trained.

        Args:
            about (ModelInfo): Sizes, classes, frozen features.
        """

    def transfer(self, old: Sequence[str]) -> set[str]:
        """What becomes of a checkpoint that was trained for other classes.

        Args:
            old (Sequence[str]): The classes that it was trained for.

        Returns:
            set[str]: Names of the tensors that are left behind; everything
            else is taken over.

        Raises:
            ValueError: If nothing useful can be taken over.
        """
        return set()
