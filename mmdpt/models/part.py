"""What every part of the classifier is, and what it knows about the whole."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn as nn


@dataclass(frozen=True)
class ModelInfo:
    """The first argument of every prompt, tuning and head.

    Attributes:
        image_tower (nn.Module): The frozen image tower: ``width`` D and
            ``depth`` (0 where it has no blocks that take prompts) and
            ``embed_dim`` E.
        classes (list[str]): The class names; empty in a backbone that knows
            none.
        text_tower (TextTower, optional): The frozen text tower; None in a
            backbone.
        templates (list[str]): The hand-written prompts.
        frozen_text (Callable, optional): Gives the features of the filled
            templates, (C, E), normalised; for use in a forward pass.
        text_prompt (TextPrompt, optional): The learnt text prompt, for the
            parts that are built after it.
        teacher (Teacher, optional): The second, frozen model.
    """

    image_tower: Any
    classes: list[str]
    text_tower: Any = None
    templates: Sequence[str] = ()
    frozen_text: Callable[[], torch.Tensor] | None = None
    text_prompt: nn.Module | None = None
    teacher: Any = None


class Part:
    """What prompts, tunings and heads have in common.

    Attributes:
        requires (frozenset[str]): What must be computed for it: fields of
            :class:`Match` that are not computed for every method, and
            'text_prompt' (there is a learnt text prompt) or 'shared_text'
            (text features are the same for all images). A head names what its
            training needs.
        gives (frozenset[str]): Fields of :class:`Match` that it makes.
        keeps (frozenset[str]): What of ``requires`` only a training needs: the
            model is built without it, and predicts from a checkpoint.
    """

    requires: frozenset[str] = frozenset()
    gives: frozenset[str] = frozenset()
    keeps: frozenset[str] = frozenset()

    def begin_stage(self, learns: bool, before: bool, text: Callable[[], torch.Tensor]) -> None:
        """Get ready for a stage of a training in stages, before its optimizer is made.

        Args:
            learns (bool): Whether it learns in this stage.
            before (bool): Whether it has learnt in an earlier one.
            text (Callable): Gives the learnt text features, (C, E), not normalised.
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

    def rows(self, old: Sequence[str]) -> dict[str, list[int]]:
        """Which rows of a checkpoint's tensors the model's classes take.

        Args:
            old (Sequence[str]): The classes that it was trained for.

        Returns:
            dict[str, list[int]]: Rows by the name of a tensor that has one
            row per class and is taken over.
        """
        return {}
