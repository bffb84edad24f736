"""Learnt context in several blocks: the text side of MaPLe and PromptSRC."""

import torch
import torch.nn as nn
from mmpretrain.registry import MODELS

from mmdpt.utils.checks import check_count

from ..clip.edits import Edit
from ..part import ModelInfo
from .coop import CoOp


@MODELS.register_module()
class DeepCoOp(CoOp):
    """Learnt context of the first block and of some later ones.

    Before block 1, ..., J - 1 the outputs of the context's positions give way
    to learnt tokens of that block, without positional embedding; after the
    last one they go on to the last block. `MaPLe
    <https://arxiv.org/abs/2210.03117>`_, equations 3-5.

    Args:
        about (ModelInfo): The model.
        num_layers (int): J, how many blocks have tokens of their own.
        num_tokens, init_words, frozen_words: See :class:`CoOp`.
        surplus (bool): Accept more layers than the tower has blocks; their
            tokens then act only through MaPLe's projections.
        init_cfg (dict, optional): Not used; the values are initialised here.

    Raises:
        ValueError: If a value is out of range or a prompt is too long.
    """

    def __init__(
        self,
        about: ModelInfo,
        num_layers: int = 9,
        num_tokens: int | None = None,
        init_words: str | None = None,
        frozen_words: str | None = None,
        surplus: bool = False,
        init_cfg: dict | None = None,
    ):
        super().__init__(
            about, num_tokens, init_words=init_words, frozen_words=frozen_words, init_cfg=init_cfg
        )
        depth = len(about.text_tower.blocks)
        check_count(
            'num_layers',
            num_layers,
            1,
            1000 if surplus else depth,
            f'the text tower has {depth} blocks',
        )
        self.num_layers, self.tower_depth = num_layers, depth
        shape = (num_layers - 1, *self.context.shape)
        self.deep = (
            nn.Parameter(torch.empty(shape, dtype=self.context.dtype).normal_(std=0.02))
            if num_layers > 1
            else None
        )

    def at_block(self, depth: int) -> Edit | None:
        return Edit(self.deep[depth - 1]) if 1 <= depth < self.num_layers else None

    def layer(self, depth: int) -> torch.Tensor:
        """The learnt tokens of a block, (n, W)."""
        return self.deep[depth - 1] if depth else self.context
