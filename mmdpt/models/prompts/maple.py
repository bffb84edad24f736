"""MaPLe: visual prompts that are projections of the text prompts."""

import torch
import torch.nn as nn
from mmpretrain.registry import MODELS

from ..part import ModelInfo
from .base import LayeredPrompt
from .deep_coop import DeepCoOp


@MODELS.register_module()
class MaPLe(LayeredPrompt):
    """Visual prompts that are linear projections of the text prompts.

    `MaPLe: Multi-modal Prompt Learning <https://arxiv.org/abs/2210.03117>`_,
    equations 6-8. It learns the projections; the tokens are those of
    ``text_prompt``, which must be a :class:`DeepCoOp`, so its gradient comes
    from both towers. The first block's pass through ``ln_pre``. Layers beyond
    the image tower's blocks act in the text tower alone; their projections
    are there, as in the reference code, and get a gradient of zero.

    Args:
        about (ModelInfo): The model.

    Raises:
        ValueError: If the text prompt has another type, or has more layers than
            either tower has blocks.
    """

    pre_norm = True
    requires = frozenset({'text_prompt'})

    def __init__(self, about: ModelInfo, init_cfg: dict | None = None):
        super().__init__(about, init_cfg)
        text_prompt = about.text_prompt
        width, depth = about.image_tower.width, about.image_tower.depth
        if not isinstance(text_prompt, DeepCoOp):
            raise ValueError(
                'MaPLe projects the tokens of a DeepCoOp, but text_prompt is '
                f'{type(text_prompt).__name__}: use text_prompt=dict('
                "type='DeepCoOp', num_layers=...)."
            )
        most = max(depth, text_prompt.tower_depth)
        if text_prompt.num_layers > most:
            raise ValueError(
                f'text_prompt.num_layers={text_prompt.num_layers}, but the '
                f'image tower has {depth} blocks and the text tower '
                f'{text_prompt.tower_depth}: use at most {most}.'
            )
        self.num_layers = min(text_prompt.num_layers, depth)
        first, deep = (nn.Linear(text_prompt.context.shape[-1], width) for _ in range(2))
        self.projections = nn.ModuleList([first])
        for _ in range(text_prompt.num_layers - 1):  # the deep ones start alike
            self.projections.append(nn.Linear(*reversed(deep.weight.shape)))
            self.projections[-1].load_state_dict(deep.state_dict())
        # In a tuple, so that the tokens stay the text prompt's alone.
        self._source = (text_prompt,)

    def layer(self, depth: int) -> torch.Tensor:
        tokens = self.projections[depth](self._source[0].layer(depth))
        if depth == 0:  # data-parallel training needs every tensor
            for unused in self.projections[self.num_layers :].parameters():
                tokens = tokens + 0 * unused.sum()
        return tokens
