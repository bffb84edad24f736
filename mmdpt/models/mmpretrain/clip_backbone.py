"""CLIP's image tower as a backbone for MMPretrain's heads."""

import torch
from mmpretrain.models.backbones.base_backbone import BaseBackbone
from mmpretrain.registry import MODELS

from ..clip.image_tower import build_image_tower
from ..clip.load import load_clip
from .prompted_backbone import PromptedBackbone, build_prompt


@MODELS.register_module()
class PromptedCLIPBackbone(PromptedBackbone, BaseBackbone):
    """CLIP's frozen image tower, with or without learnt visual prompts.

    For ``ImageClassifier`` with any head of MMPretrain on a feature of size E.
    There is no text tower, so no zero-shot prediction. Checkpoints of the
    classifier hold only the prompts and what follows the backbone, and
    are refused on other CLIP weights.

    Args:
        arch (str | dict): Architecture, see :func:`load_clip`.
        pretrained (str, optional): Weights, see :func:`load_clip`.
        precision (str): Of the frozen tower, see :func:`load_clip`. Prompts
            and features are in (at least) single precision.
        visual_prompt (dict, optional): Config of a visual prompt,
            :class:`VPT`. None: the features are frozen, for a linear probe.
        init_cfg (dict, optional): See MMEngine's ``BaseModule``.

    Attributes:
        embed_dim (int): E, ``in_channels`` of the head.

    Raises:
        ValueError: If the prompt needs text features or a vision transformer
            that is missing; see :func:`load_clip` for what concerns the
            weights.
    """

    def __init__(
        self,
        arch: str | dict,
        pretrained: str | None,
        precision: str = 'fp32',
        visual_prompt: dict | None = None,
        init_cfg: dict | None = None,
    ):
        super().__init__(init_cfg)
        clip = load_clip(arch, pretrained, precision)
        self.clip_identity = clip.identity
        self.tower = build_image_tower(clip, visual_prompt and visual_prompt['type'])
        self.embed_dim = self.tower.embed_dim
        self.visual_prompt = build_prompt(visual_prompt, type(self).__name__, self.tower)
        self.wide = clip.logit_scale.dtype
        if self.visual_prompt is not None:
            self.visual_prompt.to(self.wide)
        self.freeze_all_but(self.visual_prompt)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor]:
        """A tuple with the image features (B, E), not normalised."""
        features = self.tower(self.tower.embed(images), self.visual_prompt).feature
        return (features.to(self.wide),)

    def identity(self) -> dict:
        """``arch``, ``pretrained``, ``fingerprint`` of the whole CLIP."""
        return dict(self.clip_identity)

    def check_weights(self, expected: dict, found: dict) -> None:
        raise ValueError(
            "PromptedCLIPBackbone has CLIP's own weights and takes no others: "
            'set model.backbone.pretrained to an open_clip tag or a file.'
        )
