"""VPT: learnt tokens besides the image's."""

import torch
from mmpretrain.registry import MODELS

from mmdpt.utils.checks import check_count

from ..part import ModelInfo
from .base import LayeredPrompt, random_tokens


@MODELS.register_module()
class VPT(LayeredPrompt):
    """Learnt tokens, the same for all images.

    `Visual Prompt Tuning <https://arxiv.org/abs/2203.12119>`_, equations 4-5
    (shallow) and 6-7 (deep). The tokens follow the patches, without positional
    embedding and without ``ln_pre``.

    Args:
        about (ModelInfo): The model.
        num_tokens (int): Tokens per layer.
        deep (bool): Every block has tokens of its own, whose outputs are
            dropped. Otherwise the first block's go through all blocks.
        num_layers (int, optional): How many blocks have tokens of their own,
            instead of ``deep``; the last ones' go on (PromptSRC).
        pre_norm (bool): Let the first block's tokens pass through ``ln_pre``
            (PromptSRC).

    Raises:
        ValueError: If a number is out of range.
    """

    def __init__(
        self,
        about: ModelInfo,
        num_tokens: int = 10,
        deep: bool = True,
        num_layers: int | None = None,
        pre_norm: bool = False,
        init_cfg: dict | None = None,
    ):
        super().__init__(about, init_cfg)
        depth = about.image_tower.depth
        check_count('num_tokens', num_tokens, 1, 1000, 'visual prompts')
        if num_layers is None:
            num_layers = depth if deep else 1
        check_count('num_layers', num_layers, 1, depth, f'the tower has {depth} blocks')
        self.num_layers = num_layers
        self.pre_norm = pre_norm
        self.tokens = random_tokens(num_layers, num_tokens, about.image_tower.width)

    def layer(self, depth: int) -> torch.Tensor:
        return self.tokens[depth]
