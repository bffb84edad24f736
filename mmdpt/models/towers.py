"""CLIP's two frozen towers, made to take prompts."""
from typing import Callable, Optional, Tuple

import torch
import torch.nn as nn
from mmpretrain.registry import MODELS

from .blocks import check_blocks, through_blocks
from .clip import CLIPModel
from .text_encoding import PackedPrompts, encode


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
        visual.conv1.to(memory_format=torch.channels_last)
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
        check_image_size(images, self.image_size)
        # Channels last: the patch embedding comes out as tokens, uncopied.
        images = images.to(
            self.visual.conv1.weight.dtype, memory_format=torch.channels_last)
        return self.visual._embeds(images)

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
        token, evidence = through_blocks(self.blocks, tokens, prompt, classes,
                                         self.visual.ln_pre)
        return self.visual.ln_post(token) @ self.visual.proj, evidence


@MODELS.register_module()
class FrozenTower(nn.Module):
    """An image tower that is only read, such as CLIP's ResNets: for methods
    that leave the image alone.

    Args:
        clip (CLIPModel): The loaded CLIP.

    Attributes:
        width (int): 0; there are no tokens to prompt.
        depth (int): 0; there are no blocks to prompt.
        embed_dim (int): E, size of the joint space.
        image_size (tuple[int, int]): Height and width of an input.
    """
    width = depth = 0

    def __init__(self, clip: CLIPModel):
        super().__init__()
        self.visual = clip.model.visual
        self.embed_dim = self.visual.output_dim
        size = self.visual.image_size
        self.image_size = (size, size) if isinstance(size, int) else \
            tuple(size)

    def train(self, mode: bool = True):
        """Stay in evaluation mode: batch statistics are frozen as well."""
        return super().train(False)

    def embed(self, images: torch.Tensor) -> torch.Tensor:
        """Check normalised images (B, 3, H, W)."""
        check_image_size(images, self.image_size)
        return images.to(next(self.visual.parameters()).dtype)

    def forward(self, images: torch.Tensor, prompt=None, classes=None):
        """Image features (B, E), not normalised, and no class evidence."""
        return self.visual(images), []


def build_image_tower(clip: CLIPModel, why: Optional[str] = None) -> nn.Module:
    """The image tower that suits a CLIP.

    Args:
        clip (CLIPModel): The loaded CLIP.
        why (str, optional): What needs a vision transformer; None: nothing.

    Raises:
        ValueError: If there is none, but it is needed.
    """
    from open_clip.modified_resnet import ModifiedResNet
    if not isinstance(clip.model.visual, ModifiedResNet):
        return ImageTower(clip)
    if why is not None:
        raise ValueError(
            f'{why} needs a vision transformer, but the image tower of '
            f'{clip.identity["arch"]} is a ResNet: use a CLIP ViT such as '
            'ViT-B-16-quickgelu, or a method that leaves the image alone '
            '(CoOp, CoCoOp, KgCoOp, ProGrad, CLIP-Adapter, Tip-Adapter).')
    return FrozenTower(clip)


def check_image_size(images: torch.Tensor, size: Tuple[int, int]) -> None:
    """Raise ValueError unless images (B, 3, H, W) have the tower's size."""
    if tuple(images.shape[1:]) != (3, *size):
        raise ValueError(
            f'The image tower takes images of 3x{size[0]}x{size[1]}, but got '
            f'{"x".join(map(str, images.shape[1:]))}: set the size in the '
            'pipelines (or choose another arch).')


class TextTower(nn.Module):
    """CLIP's causal text transformer.

    Args:
        clip (CLIPModel): The loaded CLIP.
        checkpointing (bool): Compute activations again in the backward pass
            instead of keeping them: a third more time, and memory for tens of
            thousands of classes.

    Attributes:
        width (int): W, size of a token.
        context_length (int): Most tokens of a prompt, start and end included.
        tokenizer (Callable): open_clip's tokenizer.

    Raises:
        ValueError: If the tower is not a plain causal CLIP transformer.
    """

    def __init__(self, clip: CLIPModel, checkpointing: bool = False):
        super().__init__()
        self.checkpointing = checkpointing
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
