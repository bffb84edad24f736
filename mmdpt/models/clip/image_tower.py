"""CLIP's image towers, made to take prompts."""

from collections.abc import Callable

import torch
import torch.nn as nn
from mmpretrain.registry import MODELS

from .blocks import check_blocks, run_block
from .image_pass import ImageFeatures, below, check_image_size, through_blocks
from .load import CLIPModel
from .timm_tower import TimmTower, has_timm_blocks


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
        ValueError: If its blocks are not open_clip's standard ones, or it has
            an attention pool.
    """

    def __init__(self, clip: CLIPModel):
        super().__init__()
        visual = clip.model.visual
        if visual.attn_pool is not None or visual.pool_type == 'none':
            raise ValueError(
                f'The image tower of {clip.identity["arch"]} pools by '
                'attention of its own (CoCa), which is not supported; use a '
                'CLIP ViT such as ViT-B-16-quickgelu.'
            )
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

    @property
    def gives_tokens(self) -> bool:
        """Whether a prompt's tokens can be read behind the last block."""
        return self.visual.pool_type == 'tok'

    @property
    def proj(self) -> torch.Tensor:
        """The frozen projection to the joint space, (D, E)."""
        return self.visual.proj

    def embed(self, images: torch.Tensor) -> torch.Tensor:
        """Turn normalised images (B, 3, H, W) into tokens (B, N, D)."""
        check_image_size(images, self.image_size)
        # Channels last: the patch embedding comes out as tokens, uncopied.
        images = images.to(self.visual.conv1.weight.dtype, memory_format=torch.channels_last)
        return self.visual._embeds(images)

    def below(self, tokens: torch.Tensor, depth: int) -> torch.Tensor:
        """Tokens (B, N, D) that enter block ``depth``, out of embedded images."""
        return below(self.blocks, tokens, depth)

    def forward(
        self,
        tokens: torch.Tensor,
        prompt: nn.Module | None = None,
        classes: torch.Tensor | None = None,
        first: int = 0,
        run: Callable = run_block,
    ) -> ImageFeatures:
        """Encode embedded images, with or without prompts.

        Args:
            tokens (Tensor): Output of :meth:`embed`, or of :meth:`below` for
                block ``first``, (B, N, D).
            prompt (VisualPrompt, optional): The visual prompts.
            classes (Tensor, optional): Selected text features, (B, K, E).
            first (int): The block to start at.
            run (Callable): Runs a block, as :func:`run_block` does.

        Returns:
            ImageFeatures: Image features, class evidence, and the prompt's
            tokens after ``ln_post`` if it gives them.
        """
        by_token = self.visual.pool_type == 'tok'
        tokens, evidence, given, _ = through_blocks(
            self.blocks,
            tokens,
            prompt,
            classes,
            self.visual.ln_pre,
            run,
            read=1 if by_token else None,
            first=first,
        )
        if given is not None:
            given = self.visual.ln_post(given)
        if by_token:
            pooled = self.visual.ln_post(tokens[:, 0])
        else:  # the mean of the patches (CLIPA)
            pooled, _ = self.visual._pool(tokens)
        return ImageFeatures(pooled @ self.visual.proj, evidence, given, pooled)


@MODELS.register_module()
class FrozenTower(nn.Module):
    """An image tower that is only read, such as CLIP's ResNets and timm's
    convolutional ones: for methods that leave the image alone.

    Args:
        clip (CLIPModel): The loaded CLIP.

    Attributes:
        width (int): 0; there are no tokens to prompt.
        depth (int): 0; there are no blocks to prompt.
        embed_dim (int): E, size of the joint space.
        image_size (tuple[int, int]): Height and width of an input.
    """

    width = depth = 0
    proj, gives_tokens = None, False

    def __init__(self, clip: CLIPModel):
        super().__init__()
        self.visual = clip.model.visual
        self.embed_dim = clip.embed_dim
        size = self.visual.image_size
        self.image_size = (size, size) if isinstance(size, int) else tuple(size)

    def train(self, mode: bool = True):
        """Stay in evaluation mode: batch statistics are frozen as well."""
        return super().train(False)

    def embed(self, images: torch.Tensor) -> torch.Tensor:
        """Check normalised images (B, 3, H, W)."""
        check_image_size(images, self.image_size)
        return images.to(next(self.visual.parameters()).dtype)

    def below(self, images: torch.Tensor, depth: int) -> torch.Tensor:
        """The images: there are no blocks to begin with."""
        return images

    def forward(
        self, images: torch.Tensor, prompt: None = None, classes: None = None, first: int = 0
    ) -> ImageFeatures:
        """Image features (B, E), not normalised."""
        return ImageFeatures(self.visual(images))


def build_image_tower(clip: CLIPModel, why: str | None = None) -> nn.Module:
    """The image tower that suits a CLIP.

    Args:
        clip (CLIPModel): The loaded CLIP.
        why (str, optional): What needs a vision transformer; None: nothing.

    Raises:
        ValueError: If there is none, but it is needed.
    """
    from open_clip.transformer import VisionTransformer

    visual = clip.model.visual
    if isinstance(visual, VisionTransformer):
        return ImageTower(clip)
    if has_timm_blocks(visual):
        return TimmTower(clip)
    if why is not None:
        kind = type(getattr(visual, 'trunk', visual)).__name__
        kind = 'ResNet' if kind == 'ModifiedResNet' else kind
        raise ValueError(
            f'{why} needs a vision transformer, but the image tower of '
            f'{clip.identity["arch"]} is a {kind}: use a CLIP ViT such as '
            'ViT-B-16-quickgelu, or a method that leaves the image alone '
            '(CoOp, CoCoOp, KgCoOp, ProGrad, CLIP-Adapter, Tip-Adapter).'
        )
    return FrozenTower(clip)
