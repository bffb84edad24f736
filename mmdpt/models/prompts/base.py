"""What a text prompt and a visual prompt are."""

from collections.abc import Sequence

import torch
import torch.nn as nn
import torch.nn.functional as F
from mmengine.model import BaseModule

from ..clip.edits import Edit
from ..clip.packing import PackedPrompts, Packing
from ..part import Part


class TextPrompt(Part, BaseModule):
    """Base of all text prompts: calling it gives :class:`PackedPrompts`.

    A subclass calls :meth:`pack` once with its prompts and returns its bank of
    embeddings, (U, W) or (G, U, W), from :meth:`bank`.

    Attributes:
        needs_image (bool): Whether the prompts depend on the image.
        constant_below (int): No learnt value enters before this block of the
            text tower: the states below are computed once.
    """

    needs_image = False
    constant_below = 0

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
                ``needs_image``.
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

    Before each block the tower asks which tokens enter with the image's.

    A subclass is built with ``width`` (D, the tower's token size), ``depth``
    (number of blocks), ``embed_dim`` (E, size of the text features),
    ``num_classes`` (C) and its own options.

    Attributes:
        top_k (int): K, how many classes it wants to see per image; 0 for
            none.
        has_evidence (bool): Whether it gives class evidence.
        pre_norm (bool): Whether what enters the first block passes through
            the tower's ``ln_pre``, as the image's tokens do.
        needs_text (bool): Whether it makes its tokens from text.
        gives_tokens (bool): Whether the head gets what became of its tokens.
    """

    gives_tokens = False
    top_k = 0
    has_evidence = False
    pre_norm = False
    needs_text = False

    def forward(
        self,
        depth: int,
        tokens: torch.Tensor,
        previous: torch.Tensor | None,
        classes: torch.Tensor | None,
    ) -> tuple[torch.Tensor | None, torch.Tensor | None]:
        """Answer which extra tokens enter block ``depth``.

        Args:
            depth (int): Index of the block, from 0.
            tokens (Tensor): Class token and patches entering it, (B, N, D).
            previous (Tensor, optional): The extra tokens' outputs of the
                block before, (B, P, D), if :meth:`stays` kept them.
            classes (Tensor, optional): Text features of the K selected
                classes, not normalised, (B, K, E).

        Returns:
            tuple: The extra tokens (B or 1, P, D) or None, and class evidence
            (B, K, C) or None.
        """
        raise NotImplementedError

    def stays(self, depth: int) -> bool:
        """Whether the outputs of block ``depth`` are wanted for the next."""
        return False


class LayeredPrompt(VisualPrompt):
    """Base of prompts that are the same for all images.

    The first ``num_layers`` blocks have tokens of their own; those of the
    last of them go on through all blocks that follow.
    """

    num_layers: int

    def layer(self, depth: int) -> torch.Tensor:
        """The tokens (P, D) of block ``depth`` < ``num_layers``."""
        raise NotImplementedError

    def forward(self, depth, tokens, previous, classes):
        if depth < self.num_layers:
            return self.layer(depth)[None], None
        return previous, None

    def stays(self, depth: int) -> bool:
        return depth >= self.num_layers - 1


def random_tokens(*shape: int) -> nn.Parameter:
    return nn.Parameter(torch.empty(*shape).normal_(std=0.02))
