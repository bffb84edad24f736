"""CoCoOp: text context that every image shifts."""

from collections import OrderedDict

import torch
import torch.nn as nn
import torch.nn.functional as F
from mmpretrain.registry import MODELS

from mmdpt.utils.values import Size

from ..part import ModelInfo
from .coop import CoOp


@MODELS.register_module()
class CoCoOp(CoOp):
    """Learnt context plus a shift that a small network reads off the image.

    `Conditional Prompt Learning for Vision-Language Models
    <https://arxiv.org/abs/2203.05557>`_, section 3.2: the context of an image
    is ``context + W2 relu(W1 f + b1) + b2``, f its normalised frozen feature.
    The class name is at the end.

    Args:
        about (ModelInfo): The model.
        num_tokens (int, optional): Context length, see :class:`CoOp`.
        init_words (str, optional): Start of the context, see :class:`CoOp`.
        reduction (int): The hidden layer has E // reduction units. Defaults
            to 16.
        init_cfg (dict, optional): Not used; the values are initialised here.

    Raises:
        ValueError: If a value is out of range or a prompt is too long.
    """

    requires = frozenset({'frozen_image'})

    def __init__(
        self,
        about: ModelInfo,
        num_tokens: int | None = None,
        init_words: str | None = None,
        reduction: Size = 16,
        init_cfg: dict | None = None,
    ):
        super().__init__(about, num_tokens, init_words=init_words, init_cfg=init_cfg)
        tower = about.text_tower
        width = tower.embed_dim
        if not isinstance(reduction, int) or not 1 <= reduction <= width:
            raise ValueError(
                f'reduction must be a whole number from 1 to '
                f'{width} (the size of an image feature), but is '
                f'{reduction!r}.'
            )
        self.meta_net = nn.Sequential(
            OrderedDict(
                linear1=nn.Linear(width, width // reduction),
                relu=nn.ReLU(),
                linear2=nn.Linear(width // reduction, tower.width),
            )
        )
        self.meta_net.to(self.context.dtype)

    def shift(self, image: torch.Tensor) -> torch.Tensor:
        """What the frozen features (B, E) add to the context, (B, W)."""
        weight = self.meta_net.linear1.weight
        return self.meta_net(F.normalize(image.to(weight), dim=-1))

    def bank(self, image: torch.Tensor | None = None) -> torch.Tensor:
        if image is None:
            raise ValueError(
                'CoCoOp makes its context from frozen image features: call it with image=(B, E).'
            )
        frozen = self.frozen.embedding
        context = self.context + self.shift(image)[:, None]  # (B, n, W)
        return torch.cat([frozen.expand(len(image), -1, -1), context.to(frozen)], dim=1)
