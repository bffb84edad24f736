"""CLIP's text tower, made to take prompts."""

from collections.abc import Callable

import torch
import torch.nn as nn

from mmdpt.utils.malloc import map_large_blocks

from .blocks import check_blocks
from .load import CLIPModel
from .packed_text import encode
from .packing import PackedPrompts
from .padded_text import encode_whole
from .tokenizer import marks


class TextTower(nn.Module):
    """CLIP's text transformer.

    A causal tower that reads the end of text encodes what prompts share once
    (:func:`encode`). In others (SigLIP) every prompt goes through the tower
    whole (:func:`encode_whole`).

    Args:
        clip (CLIPModel): The loaded CLIP.
        checkpointing (bool): Compute activations again in the backward pass
            instead of keeping them, a part of the classes at a time: a third more
            time, and memory saved for tens of thousands of classes.

    Attributes:
        width (int): W, size of a token.
        embed_dim (int): E, size of the joint space.
        context_length (int): Most tokens of a prompt, start and end included.
        tokenizer (Callable): open_clip's tokenizer.
        start (list[int]): Tokens in front of every prompt.
        end (list[int]): Tokens behind every prompt.
        padding (int): Token that fills the context.
        causal (bool): Whether tokens see only those before them.

    Raises:
        ValueError: If the tower is none of open_clip's own, or pools in a way
            that is not supported.
    """

    blocks: nn.ModuleList
    token_embedding: nn.Embedding
    width: int
    context_length: int

    def __init__(self, clip: CLIPModel, checkpointing: bool = False):
        super().__init__()
        self.checkpointing = checkpointing
        if checkpointing:  # without it 21,841 classes take 11.2 GiB on a CPU, with it 4
            map_large_blocks()
        text = getattr(clip.model, 'text', clip.model)
        check_text(clip.model, clip.identity['arch'])
        self.blocks = text.transformer.resblocks
        check_blocks(self.blocks, 'text tower')
        self.token_embedding = text.token_embedding
        self.positional_embedding = text.positional_embedding
        self.ln_final = text.ln_final
        self.text_projection = text.text_projection
        self.pool = text_pool(clip.model)
        self.causal = text.attn_mask is not None
        self.embed_dim = clip.embed_dim
        self.width = self.positional_embedding.shape[1]
        self.context_length = self.positional_embedding.shape[0]
        self.tokenizer: Callable = clip.tokenizer
        self.start, self.end, self.padding = marks(clip.tokenizer)

    def forward(self, prompts: PackedPrompts) -> torch.Tensor:
        """Encode packed prompts: text features (G, C, E), not normalised."""
        return encode(self, prompts) if self.causal else encode_whole(self, prompts)

    def project(self, tokens: torch.Tensor) -> torch.Tensor:
        """Map tokens (..., W) to the joint space, (..., E)."""
        if isinstance(self.text_projection, nn.Module):
            return self.text_projection(tokens)
        return tokens if self.text_projection is None else tokens @ self.text_projection

    def pooled(self, ends: torch.Tensor) -> torch.Tensor:
        """Which token is read, (C,), of prompts that end at ``ends``."""
        if self.pool in ('last', 'first'):
            place = self.context_length - 1 if self.pool == 'last' else 0
            return torch.full_like(ends, place)
        return ends


def text_pool(model: nn.Module) -> str:
    """How the text tower of an open_clip model pools its tokens."""
    return model.text.pool_type if hasattr(model, 'text') else model.text_pool_type


def check_text(model: nn.Module, name: str) -> None:
    """Raise ValueError unless prompts can enter a model's text tower."""
    from open_clip.transformer import TextTransformer

    text = getattr(model, 'text', None)
    if text is not None and not isinstance(text, TextTransformer):
        raise ValueError(
            f'The text tower of {name} is a '
            f'{type(text).__name__}, whose blocks take no '
            'prompts; use a CLIP with a text tower of its own, '
            'such as ViT-B-16-quickgelu.'
        )
    causal = getattr(text or model, 'attn_mask', None) is not None
    known = ('argmax', 'eos') if causal else ('argmax', 'eos', 'last', 'first')
    if text_pool(model) not in known or getattr(text, 'cls_emb', None) is not None:
        raise ValueError(
            f'The text tower of {name} does not read one of the tokens of a '
            f'prompt (pool_type={text_pool(model)!r}, or a class token of its '
            'own), which is not supported; use a CLIP such as '
            'ViT-B-16-quickgelu.'
        )
