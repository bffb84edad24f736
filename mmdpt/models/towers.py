"""CLIP's two frozen towers, made to take prompts.

Both walk open_clip's own blocks, but compute only what is read: no query and
no MLP for a token whose output nobody uses. That is exact, and the unprompted
loop equals open_clip's own forward pass.
"""
from typing import Callable, List, Optional, Tuple

import torch
import torch.nn as nn
import torch.nn.functional as F
from mmpretrain.registry import MODELS

from .clip import CLIPModel
from .text_encoding import PackedPrompts, encode


def check_blocks(blocks: nn.ModuleList, tower: str) -> None:
    """Raise ValueError unless all blocks are open_clip's standard ones."""
    from open_clip.transformer import ResidualAttentionBlock
    for i, block in enumerate(blocks):
        if type(block) is not ResidualAttentionBlock:
            raise ValueError(
                f'Block {i} of the {tower} is a {type(block).__name__}: '
                'prompts are supported in ResidualAttentionBlock only; use a '
                'standard CLIP such as ViT-B-16-quickgelu.')


def run_block(block: nn.Module,
              tokens: torch.Tensor,
              extra: Optional[torch.Tensor] = None,
              read: Optional[int] = None) -> torch.Tensor:
    """Run one pre-norm transformer block without a mask.

    Args:
        block (nn.Module): open_clip's ``ResidualAttentionBlock``.
        tokens (Tensor): The tokens that go on, (B, L, D).
        extra (Tensor, optional): Tokens that are only attended to and leave
            after the block, (B or 1, P, D); with 1 they are computed once.
        read (int, optional): Compute only the first ``read`` outputs.

    Returns:
        Tensor: (B, L or read, D).
    """
    attn = block.attn
    weight, bias = attn.in_proj_weight, attn.in_proj_bias
    batch, _, width = tokens.shape

    def heads(x):  # (B, L, D) -> (B, H, L, D / H)
        return x.unflatten(-1, (attn.num_heads, -1)).transpose(1, 2)

    normed = block.ln_1(tokens)
    if read is None:
        query, key, value = F.linear(normed, weight, bias).chunk(3, -1)
    else:
        tokens = tokens[:, :read]
        query = F.linear(normed[:, :read], weight[:width], bias[:width])
        key, value = F.linear(normed, weight[width:], bias[width:]).chunk(2, -1)
    if extra is not None:
        extra_kv = F.linear(block.ln_1(extra), weight[width:], bias[width:])
        extra_kv = extra_kv.expand(batch, -1, -1).chunk(2, -1)
        key = torch.cat([key, extra_kv[0]], dim=1)
        value = torch.cat([value, extra_kv[1]], dim=1)
    mixed = F.scaled_dot_product_attention(
        heads(query), heads(key), heads(value))
    mixed = attn.out_proj(mixed.transpose(1, 2).flatten(2))
    tokens = tokens + block.ls_1(mixed)
    return tokens + block.ls_2(block.mlp(block.ln_2(tokens)))


def through_blocks(blocks: nn.ModuleList, tokens: torch.Tensor, prompt=None,
                   classes: Optional[torch.Tensor] = None
                   ) -> Tuple[torch.Tensor, List[torch.Tensor]]:
    """Walk the blocks and ask the prompt, before each, what enters with the
    image.

    Args:
        blocks (nn.ModuleList): The tower's blocks.
        tokens (Tensor): Class token and patches, (B, N, D).
        prompt (VisualPrompt, optional): What enters; None for the plain tower.
        classes (Tensor, optional): Features of the selected classes,
            (B, K, E), for class-aware prompts.

    Returns:
        tuple: The class token after the last block, (B, D), and the class
        evidence (B, K, C) of every class-aware layer.
    """
    num_tokens, previous, evidence = tokens.shape[1], None, []
    for depth, block in enumerate(blocks):
        last = depth == len(blocks) - 1
        extra, logits = (None, None) if prompt is None else prompt(
            depth, tokens, previous, classes)
        if logits is not None:
            evidence.append(logits)
        if extra is not None:
            extra = extra.to(tokens.dtype)
        if extra is not None and not last and prompt.stays(depth):
            extra = extra.expand(len(tokens), -1, -1)
            tokens = run_block(block, torch.cat([tokens, extra], dim=1))
            previous = tokens[:, num_tokens:]
            tokens = tokens[:, :num_tokens]
        else:
            tokens = run_block(block, tokens, extra, read=1 if last else None)
            previous = None
    return tokens[:, 0], evidence


@MODELS.register_module()
class ImageTower(nn.Module):
    """CLIP's vision transformer.

    Args:
        clip (CLIPModel): The loaded CLIP.

    Attributes:
        width (int): D, size of a token.
        depth (int): Number of blocks.
        embed_dim (int): E, size of the joint space.
        image_size (tuple[int, int]): Height and width of an input.

    Raises:
        ValueError: If the tower is not a CLIP ViT with a class token.
    """

    def __init__(self, clip: CLIPModel):
        super().__init__()
        from open_clip.transformer import VisionTransformer
        visual = clip.model.visual
        if not isinstance(visual, VisionTransformer) or \
                visual.pool_type != 'tok' or visual.attn_pool is not None:
            raise ValueError(
                f'The image tower of {clip.identity["arch"]} is a '
                f'{type(visual).__name__} without class token: visual prompts '
                'need a CLIP ViT such as ViT-B-16-quickgelu.')
        self.visual = visual
        check_blocks(self.blocks, 'image tower')
        self.width = visual.class_embedding.shape[0]
        self.depth = len(self.blocks)
        self.embed_dim = visual.output_dim
        self.image_size = tuple(visual.image_size)

    @property
    def blocks(self) -> nn.ModuleList:
        return self.visual.transformer.resblocks

    def embed(self, images: torch.Tensor) -> torch.Tensor:
        """Turn normalised images (B, 3, H, W) into tokens (B, N, D)."""
        if tuple(images.shape[1:]) != (3, *self.image_size):
            raise ValueError(
                f'The image tower takes images of 3x{self.image_size[0]}x'
                f'{self.image_size[1]}, but got '
                f'{"x".join(map(str, images.shape[1:]))}: set the size in the '
                'pipelines (or choose another arch).')
        return self.visual._embeds(images.to(self.visual.conv1.weight.dtype))

    def forward(self, tokens: torch.Tensor, prompt=None,
                classes: Optional[torch.Tensor] = None):
        """Encode embedded images, with or without prompts.

        Args:
            tokens (Tensor): Output of :meth:`embed`, (B, N, D).
            prompt (VisualPrompt, optional): The visual prompts.
            classes (Tensor, optional): Selected text features, (B, K, E).

        Returns:
            tuple: Image features (B, E), not normalised, and the list of
            class evidence (B, K, C), one entry a class-aware layer.
        """
        token, evidence = through_blocks(self.blocks, tokens, prompt, classes)
        return self.visual.ln_post(token) @ self.visual.proj, evidence


class TextTower(nn.Module):
    """CLIP's causal text transformer.

    Args:
        clip (CLIPModel): The loaded CLIP.

    Attributes:
        width (int): W, size of a token.
        context_length (int): Most tokens of a prompt, start and end included.
        tokenizer (Callable): open_clip's tokenizer.

    Raises:
        ValueError: If the tower is not a plain causal CLIP transformer.
    """

    def __init__(self, clip: CLIPModel):
        super().__init__()
        model = clip.model
        if model.text_pool_type != 'argmax' or not isinstance(
                model.text_projection, torch.Tensor):
            raise ValueError(
                f'The text tower of {clip.identity["arch"]} does not project '
                'the end-of-text token, which is not supported yet; use a '
                'CLIP such as ViT-B-16-quickgelu.')
        self.blocks = model.transformer.resblocks
        check_blocks(self.blocks, 'text tower')
        self.token_embedding = model.token_embedding
        self.positional_embedding = model.positional_embedding
        self.ln_final = model.ln_final
        self.text_projection = model.text_projection
        self.width = self.positional_embedding.shape[1]
        self.context_length = self.positional_embedding.shape[0]
        self.tokenizer: Callable = clip.tokenizer

    def forward(self, prompts: PackedPrompts) -> torch.Tensor:
        """Encode packed prompts: text features (G, C, E), not normalised."""
        return encode(self, prompts)
