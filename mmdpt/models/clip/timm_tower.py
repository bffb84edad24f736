"""Image towers out of timm's transformers (EVA02, SigLIP), with prompts."""

from collections.abc import Callable

import torch
import torch.nn as nn
import torch.nn.functional as F
from mmpretrain.registry import MODELS

from .blocks import spread
from .image_pass import ImageFeatures, below, check_image_size, through_blocks
from .load import CLIPModel


def has_timm_blocks(visual: nn.Module) -> bool:
    """Whether an image tower is one of timm's whose blocks take prompts."""
    trunk = getattr(visual, 'trunk', None)
    if trunk is None:
        return False
    from timm.models.eva import Eva
    from timm.models.vision_transformer import VisionTransformer

    return type(trunk) in (Eva, VisionTransformer) and not getattr(trunk, 'rope_mixed', False)


@MODELS.register_module()
class TimmTower(nn.Module):
    """A timm transformer inside open_clip's ``TimmModel``.

    The blocks are timm's own: rotary positions, SwiGLU, inner norms, pre- or
    post-norm are theirs. Prompts follow the image's tokens and are dropped
    after the block; rotary positions turn the patches only. Pooling and
    projection are the tower's, over the image's tokens.

    Args:
        clip (CLIPModel): The loaded CLIP.

    Attributes:
        width (int): D, size of a token.
        depth (int): Number of blocks.
        embed_dim (int): E, size of the joint space.
        image_size (tuple[int, int]): Height and width of an input.
        takes_lora (bool): False; :class:`LoRA` updates open_clip's attention.
    """

    takes_lora = False
    proj, gives_tokens = None, False

    def __init__(self, clip: CLIPModel):
        super().__init__()
        self.visual = clip.model.visual
        self.width = self.trunk.embed_dim
        self.depth = len(self.blocks)
        self.embed_dim = clip.embed_dim
        self.image_size = tuple(self.visual.image_size)

    @property
    def trunk(self) -> nn.Module:
        return self.visual.trunk

    @property
    def blocks(self) -> nn.ModuleList:
        return self.trunk.blocks

    def train(self, mode: bool = True):
        """Stay in evaluation mode: some configs drop paths in training."""
        return super().train(False)

    def embed(self, images: torch.Tensor) -> torch.Tensor:
        """Turn normalised images (B, 3, H, W) into tokens (B, N, D)."""
        check_image_size(images, self.image_size)
        images = images.to(next(self.trunk.parameters()).dtype)
        tokens = self.trunk._pos_embed(self.trunk.patch_embed(images))
        if isinstance(tokens, tuple):  # Eva gives the rotary positions, too
            tokens = tokens[0]
        return self.trunk.norm_pre(tokens)

    def below(self, tokens: torch.Tensor, depth: int) -> torch.Tensor:
        """See :meth:`ImageTower.below`."""
        return below(self.blocks, tokens, depth, self._runner(tokens.shape[1]))

    def forward(
        self,
        tokens: torch.Tensor,
        prompt: nn.Module | None = None,
        classes: torch.Tensor | None = None,
        first: int = 0,
    ) -> ImageFeatures:
        """Encode embedded images; see :meth:`ImageTower.forward`."""
        tokens, evidence, *_ = through_blocks(
            self.blocks,
            tokens,
            prompt,
            classes,
            self.trunk.norm_pre,
            self._runner(tokens.shape[1]),
            read=None,
            first=first,
        )
        pooled = self.trunk.forward_head(self.trunk.norm(tokens))
        return ImageFeatures(self.visual.head(pooled), evidence)

    def _runner(self, count: int) -> Callable:
        """Run one of timm's blocks on ``count`` image tokens and prompts."""
        rope = self._rope()

        def run(block, tokens, extra=None, read=None):
            going = tokens.shape[1]
            if extra is not None:
                tokens = torch.cat([tokens, spread(extra, tokens.shape[0])], dim=1)
            if rope is None:
                return block(tokens)[:, :going]
            turned = _still_behind(rope, tokens.shape[1] - count)
            return block(tokens, rope=turned)[:, :going]

        return run

    def _rope(self) -> torch.Tensor | None:
        """Sines, then cosines, of the patches: (patches, 2 d), or None."""
        rope = getattr(self.trunk, 'rope', None)
        if rope is None:
            return None
        grid = self.trunk.patch_embed.grid_size
        fixed = hasattr(rope, 'feat_shape') and not self.trunk.dynamic_img_size
        return rope.get_embed() if fixed else rope.get_embed(shape=grid)


def _still_behind(rope: torch.Tensor, count: int) -> torch.Tensor:
    """Add tokens that are not turned: sine 0, cosine 1. That is exact."""
    sines, cosines = rope.chunk(2, dim=-1)
    return torch.cat(
        [F.pad(sines, (0, 0, 0, count)), F.pad(cosines, (0, 0, 0, count), value=1.0)], dim=-1
    )
