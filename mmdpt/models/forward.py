"""One forward pass: frozen pass, choice of the K classes, prompted pass."""

from collections.abc import Callable, Sequence, Set

import torch
import torch.nn.functional as F

from .clip.image_pass import ImageFeatures
from .heads.match import Match, similarity
from .sides import Sides
from .tuning.base import frozen_towers


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
        choose (Callable, optional): Says which classes' text is encoded, from both features.
    """
    tower, text, scale, visual, *_ = sides
    required = sides.required(required) if adapted else frozenset()
    adapts = adapted and sides.adapts_images
    kept_below = images.dim() == 3
    tokens, first = (images, sides.constant_below) if kept_below else (tower.embed(images), 0)
    frozen_image = frozen_text = class_ids = classes = pooled = found = kept = None
    if not adapts or required & {'frozen_image', 'class_ids'}:
        frozen, tokens, first = frozen_pass(sides, tokens, first, adapts)
        frozen_image, pooled = frozen.to(scale.dtype).feature, frozen.pooled
    if not adapted or required & {'frozen_text', 'class_ids'}:
        frozen_text = text.frozen()

    def adapted_pass(classes: torch.Tensor | None) -> ImageFeatures:
        if not adapts:
            return ImageFeatures(frozen_image)
        return tower(tokens, visual, classes, first).to(scale.dtype)

    if choose is not None:
        found = adapted_pass(None)
        kept = choose(found.feature, frozen_text)
    learnt = text.learnt(frozen_image, kept) if adapted else frozen_text  # (C, E) or (B, C, E)
    if 'class_ids' in required:
        class_ids = likeliest(frozen_image, frozen_text, scale, visual.top_k)
        classes = F.embedding(class_ids, learnt)  # (B, K, E)
    found = adapted_pass(classes) if found is None else found
    return Match(
        found.feature,
        learnt,
        scale,
        frozen_image,
        frozen_text,
        class_ids,
        found.evidence,
        found.prompt_tokens,
        sides.teacher(images) if 'teacher' in required else None,
        None if second is None else frozen_feature(sides, second),
        kept,
        pooled,
    )


def likeliest(
    image: torch.Tensor, text: torch.Tensor, scale: torch.Tensor, count: int
) -> torch.Tensor:
    """The K classes most similar to each image (DPT, section 3.3), (B, K)."""
    return similarity(image, text, scale).topk(count).indices


@torch.no_grad()
def frozen_pass(
    sides: Sides, tokens: torch.Tensor, first: int, adapts: bool
) -> tuple[ImageFeatures, torch.Tensor, int]:
    """Frozen CLIP's features of tokens (B, N, D) that enter block ``first``.

    Returns:
        tuple: The features; tokens and block from which an adapted pass of the
        same images may go on.
    """
    tower = sides.image_tower
    with frozen_towers(sides.tuning):
        if adapts and first < sides.constant_below:
            first = sides.constant_below
            tokens = tower.below(tokens, first)
        return tower(tokens, first=first), tokens, first


def match_features(
    sides: Sides,
    features: torch.Tensor,
    required: Set[str] = frozenset(),
    adapted: bool = True,
    pooled: bool = False,
    choose: Callable[[torch.Tensor, torch.Tensor], Sequence[int]] | None = None,
) -> Match:
    """As :func:`forward_pass`, from frozen features that are kept.

    Args:
        sides (Sides): Towers, prompts, tuning.
        features (Tensor): Not normalised, (B, E); if ``pooled``, those before
            the last projection, (B, D).
        required (Set[str]): Fields that the head requires.
        adapted (bool): False: zero-shot CLIP.
        pooled (bool): What the features are.
        choose (Callable, optional): As in :func:`forward_pass`.

    Raises:
        ValueError: If the image would have to be prompted, or shown to a teacher.
    """
    if adapted and sides.adapts_images:
        raise ValueError(
            'Visual prompts and low-rank updates need the images, not their frozen features.'
        )
    if adapted and 'teacher' in required:
        raise ValueError('A teacher needs the images, not their frozen features.')
    image = features @ sides.image_tower.proj.to(features) if pooled else features
    image = image.to(sides.scale)
    if not adapted:
        return Match(image, sides.text.frozen(), sides.scale)
    frozen_text = sides.text.frozen() if 'frozen_text' in required else None
    kept = None if choose is None else choose(image, frozen_text)
    return Match(
        image,
        sides.text.learnt(image, kept),
        sides.scale,
        frozen_image=image,
        frozen_text=frozen_text,
        classes=kept,
        pooled=features if pooled else None,
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
