"""What one forward pass produced, and how similar it is."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F


class Match(NamedTuple):
    """What one forward pass produced. No feature is normalised.

    Attributes:
        image (Tensor): Image features, prompted where the method does,
            (B, E).
        text (Tensor): Text features, learnt where the method does, (C, E), or
            (B, C, E) where they depend on the image.
        scale (Tensor): CLIP's logit scale, a positive scalar.
        frozen_image (Tensor, optional): Features of the frozen, unprompted
            image tower, (B, E).
        frozen_text (Tensor, optional): Features of the hand-written
            templates, (C, E), normalised.
        class_ids (Tensor, optional): Classes selected for each image, most
            likely first, (B, K).
        evidence (Tensor, optional): Class logits of every class-aware layer
            and prompt, (M, B, K, C).
        prompt_tokens (Tensor, optional): What became of the visual prompt's
            tokens, after the tower's last LayerNorm, (B, n, D).
        teacher (Tensor, optional): Logits of the teacher, (B, C).
        second_image (Tensor, optional): Frozen features of a second view of
            each image, (B, E).
        classes (Sequence[int], optional): Which classes ``text`` holds, where
            the head has chosen some, in ascending order.
        pooled (Tensor, optional): What the projection to the joint space maps to
            ``frozen_image``, (B, D), where the tower has one.
    """

    image: torch.Tensor
    text: torch.Tensor
    scale: torch.Tensor
    frozen_image: torch.Tensor | None = None
    frozen_text: torch.Tensor | None = None
    class_ids: torch.Tensor | None = None
    evidence: torch.Tensor | None = None
    prompt_tokens: torch.Tensor | None = None
    teacher: torch.Tensor | None = None
    second_image: torch.Tensor | None = None
    classes: Sequence[int] | None = None
    pooled: torch.Tensor | None = None


def similarity(image: torch.Tensor, text: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """Scaled cosine similarity.

    Args:
        image (Tensor): Image features, (B, E).
        text (Tensor): Text features, (C, E) or (B, C, E).
        scale (Tensor): Factor.

    Returns:
        Tensor: Logits (B, C).
    """
    image, text = F.normalize(image, dim=-1), F.normalize(text, dim=-1)
    if text.dim() == 3:
        return scale * torch.einsum('be,bce->bc', image, text)
    return scale * image @ text.t()
