"""One forward pass: frozen pass, choice of the K classes, prompted pass."""

from collections.abc import Callable, Sequence, Set
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F

from .clip.image_pass import ImageFeatures
from .heads.match import Match, similarity
from .prompts.base import VisualPrompt
from .tuning.base import Tuning, frozen_towers


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


def forward_pass(
    sides: Sides,
    images: torch.Tensor,
    required: Set[str] = frozenset(),
    adapted: bool = True,
    second: torch.Tensor | None = None,
    choose: Callable[[torch.Tensor, torch.Tensor], Sequence[int]] | None = None,
) -> Match:
    """Match images with the classes.

    Only what the parts require is computed. Below the first block that
    anything learnt enters, the frozen and the adapted image pass are one.

    Args:
        sides (Sides): Towers, prompts, tuning.
        images (Tensor): Normalised, (B, 3, H, W); or :func:`states` of them.
        required (Set[str]): Fields that the head requires, see :class:`Part`.
        adapted (bool): False: zero-shot CLIP.
        second (Tensor, optional): A second view of each image.
        choose (Callable, optional): From image features and the templates'
            features to the classes whose text is encoded. Defaults to all.

    Returns:
        Match: What the pass produced.
    """
    tower, text, scale, visual, *_ = sides
    required = required | text.requires if adapted else frozenset()
    if adapted and visual is not None:
        required = required | visual.requires
    adapts = adapted and sides.adapts_images
    tokens, first = (
        (images, sides.constant_below) if images.dim() == 3 else (tower.embed(images), 0)
    )
    frozen_image = frozen_text = class_ids = classes = None
    if not adapts or required & {'frozen_image', 'class_ids'}:
        with torch.no_grad(), frozen_towers(sides.tuning):
            if adapts and first < sides.constant_below:
                first = sides.constant_below
                tokens = tower.below(tokens, first)
            frozen_image = tower(tokens, first=first).feature.to(scale.dtype)
    if not adapted or required & {'frozen_text', 'class_ids'}:
        frozen_text = text.frozen()
    found = kept = None
    if choose is not None:
        found = tower(tokens, visual, None, first) if adapts else ImageFeatures(frozen_image)
        kept = choose(found.feature.to(scale.dtype), frozen_text)
    learnt = frozen_text  # (C, E) or (B, C, E)
    if adapted:
        learnt = text.learnt(frozen_image) if kept is None else text.learnt(classes=kept)
    if 'class_ids' in required:
        logits = similarity(frozen_image, frozen_text, scale)
        class_ids = logits.topk(visual.top_k).indices  # (B, K)
        classes = F.embedding(class_ids, learnt)  # (B, K, E)
    if found is None:
        found = tower(tokens, visual, classes, first) if adapts else ImageFeatures(frozen_image)
    given = found.prompt_tokens
    return Match(
        found.feature.to(scale.dtype),
        learnt,
        scale,
        frozen_image,
        frozen_text,
        class_ids,
        found.evidence,
        None if given is None else given.to(scale.dtype),
        sides.teacher(images) if 'teacher' in required else None,
        None if second is None else frozen_feature(sides, second),
        kept,
    )


@torch.no_grad()
def frozen_feature(sides: Sides, images: torch.Tensor) -> torch.Tensor:
    """Features of the frozen tower, (B, E), of images (B, 3, H, W)."""
    with frozen_towers(sides.tuning):
        feature = sides.image_tower(sides.image_tower.embed(images)).feature
    return feature.to(sides.scale.dtype)


@torch.no_grad()
def states(sides: Sides, images: torch.Tensor) -> torch.Tensor:
    """Tokens (B, N, D) that enter the first block that anything learnt enters,
    of images (B, 3, H, W)."""
    tower = sides.image_tower
    return tower.below(tower.embed(images), sides.constant_below)
