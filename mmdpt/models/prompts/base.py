"""What a text prompt and a visual prompt are."""

from collections.abc import Sequence

import torch
import torch.nn as nn
import torch.nn.functional as F
from mmengine.model import BaseModule

from ..clip.edits import Edit
from ..clip.packing import PackedPrompts, Packing
from ..part import ModelInfo, Part


class TextPrompt(Part, BaseModule):
    """Base of all text prompts: calling it gives :class:`PackedPrompts`.

    A subclass calls :meth:`pack` once with its prompts and returns its bank of
    embeddings, (U, W) or (G, U, W), from :meth:`bank`.

    Args:
        about (ModelInfo): The model.
        init_cfg (dict, optional): Not used; a prompt initialises itself.

    Attributes:
        requires (frozenset[str]): 'frozen_image' where the prompts depend on
            the image.
        constant_below (int): No learnt value enters before this block of the
            text tower: the states below are computed once.
    """

    constant_below = 0

    def __init__(self, about: ModelInfo, init_cfg: dict | None = None):
        super().__init__(init_cfg=init_cfg)

    def pack(self, prompts: Sequence[Sequence[int]]) -> None:
        """Lay out the prompts, given as indices into the bank."""
        self.packing = Packing(prompts)

    def bank(self, image: torch.Tensor | None = None) -> torch.Tensor:
        raise NotImplementedError

    def at_block(self, depth: int) -> Edit | None:
        """What changes before block ``depth`` of the text tower; None:
        nothing."""
        return None

    def forward(
        self, image: torch.Tensor | None = None, packing: Packing | None = None
    ) -> PackedPrompts:
        """Put the prompts together.

        Args:
            image (Tensor, optional): Frozen image features, (B, E), where
                the prompts require it.
            packing (Packing, optional): Lay out these prompts instead of all
                classes'.

        Returns:
            PackedPrompts: Ready for the text tower.
        """
        packing = packing or self.packing
        bank = self.bank(image)
        if bank.dim() == 2:
            # Unlike indexing, embedding has a deterministic backward pass.
            prefix = F.embedding(packing.prefix, bank)[None]
            own = F.embedding(packing.own, bank)[None]
        else:
            prefix = bank[:, packing.prefix]
            own = bank[:, packing.own]
        return PackedPrompts(prefix, own, packing, self.at_block, self.constant_below)


class VisualPrompt(Part, BaseModule):
    """Base of all visual prompts.

    Before each block the image tower asks what enters with the image's tokens.

    Args:
        about (ModelInfo): The model.
        init_cfg (dict, optional): See MMEngine's ``BaseModule``.

    Attributes:
        top_k (int): K, how many classes it wants to see per image, if it
            requires 'class_ids'.
        constant_below (int): It changes nothing before this block.
    """

    top_k = 0
    constant_below = 0

    def __init__(self, about: ModelInfo, init_cfg: dict | None = None):
        super().__init__(init_cfg=init_cfg)

    def at_block(
        self, depth: int, tokens: torch.Tensor, classes: torch.Tensor | None = None
    ) -> Edit | None:
        """What changes before block ``depth`` of the image tower.

        Args:
            depth (int): Index of the block, from 0.
            tokens (Tensor): Class token and patches entering it, (B, N, D).
            classes (Tensor, optional): Text features of the ``top_k`` classes
                selected for each image, most likely first, (B, K, E).

        Returns:
            Edit | None: None: nothing changes. Tokens that stayed go on.
        """
        raise NotImplementedError


class LayeredPrompt(VisualPrompt):
    """Base of prompts that are the same for all images.

    The first ``num_layers`` blocks have tokens of their own; those of the
    last of them go on through all blocks that follow.

    Attributes:
        pre_norm (bool): Whether the first block's tokens pass through the
            tower's ``ln_pre``, as the image's do.
    """

    num_layers: int
    pre_norm = False

    def layer(self, depth: int) -> torch.Tensor:
        """The tokens (P, D) of block ``depth`` < ``num_layers``."""
        raise NotImplementedError

    def at_block(self, depth, tokens, classes=None):
        if depth >= self.num_layers:
            return None
        return Edit(
            self.layer(depth),
            'append',
            stays=depth == self.num_layers - 1,
            pre_norm=self.pre_norm and depth == 0,
        )


def random_tokens(*shape: int) -> nn.Parameter:
    """Learnt tokens, drawn with VPT's deviation of 0.02."""
    return nn.Parameter(torch.empty(*shape).normal_(std=0.02))
