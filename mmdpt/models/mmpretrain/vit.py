"""The same visual prompts on MMPretrain's vision transformer."""

from pathlib import Path
from types import SimpleNamespace

import torch
import torch.nn as nn
from mmengine.logging import print_log
from mmpretrain.models import VisionTransformer
from mmpretrain.models.utils import resize_pos_embed
from mmpretrain.registry import MODELS

from ..clip.image_pass import enter, joined
from .prompted_backbone import PromptedBackbone, build_prompt, pretrained_cfg


def run_layer(
    layer: nn.Module,
    tokens: torch.Tensor,
    extra: torch.Tensor | None = None,
    read: int | None = None,
) -> torch.Tensor:
    """Run one of MMPretrain's ``TransformerEncoderLayer``, but no more of it
    than is read. That is exact.

    Args:
        layer (nn.Module): The layer.
        tokens (Tensor): The tokens that go on, (B, L, D).
        extra (Tensor, optional): Tokens that are only attended to and leave
            after the layer, (B or 1, P, D); with 1 they are computed once.
        read (int, optional): Compute only the first ``read`` outputs.

    Returns:
        Tensor: (B, L or read, D).
    """
    attn = layer.attn

    def project(t):  # queries, keys, values, each (B, heads, L, D / heads)
        parts = attn.qkv(layer.ln1(t)).unflatten(-1, (3, attn.num_heads, -1))
        return parts.permute(2, 0, 3, 1, 4)

    query, key, value = project(tokens)
    if extra is not None:
        more = project(extra)[1:].expand(-1, len(tokens), -1, -1, -1)
        key, value = (torch.cat(pair, dim=2) for pair in zip((key, value), more))
    mixed = attn.scaled_dot_product_attention(
        query[:, :, :read], key, value, dropout_p=attn.attn_drop if attn.training else 0.0
    )
    mixed = attn.proj(mixed.transpose(1, 2).flatten(2))
    mixed = attn.out_drop(attn.gamma1(attn.proj_drop(mixed)))
    tokens = tokens[:, :read] + mixed
    return layer.ffn(layer.ln2(tokens), identity=tokens)


@MODELS.register_module()
class PromptedVisionTransformer(PromptedBackbone, VisionTransformer):
    """MMPretrain's VisionTransformer, frozen, with learnt visual prompts.

    `Visual Prompt Tuning <https://arxiv.org/abs/2203.12119>`_ for any weights
    that MMPretrain has for it (supervised, MAE, DINOv2, CLIP), in any
    classifier of MMPretrain: the outputs are those of the base class, and
    prompts are never among them. They follow the class token and the patches,
    without positional embedding.

    Name the frozen weights in ``init_cfg``. Checkpoints of the classifier hold
    only the prompts and what follows the backbone, and are refused on
    other frozen weights.

    Args:
        *args: As of the base class.
        prompt (dict, optional): Config of a visual prompt, :class:`VPT`. None:
            the plain VisionTransformer, which learns everything.
        init_cfg (dict, optional): With a prompt
            ``dict(type='Pretrained', checkpoint=..., prefix='backbone')``.
        **kwargs: As of the base class. With a prompt all stages are frozen,
            whatever ``frozen_stages`` is.

    Raises:
        ValueError: If the prompt needs text features, or ``init_cfg`` is a
            list with pretrained weights.
    """

    def __init__(self, *args, prompt: dict | None = None, init_cfg=None, **kwargs):
        super().__init__(*args, init_cfg=init_cfg, **kwargs)
        # What no output needs is neither computed nor prompted.
        self.depth = min(max(self.out_indices) + 1, self.num_layers)
        sizes = SimpleNamespace(width=self.embed_dims, depth=self.depth, embed_dim=self.embed_dims)
        self.prompt = build_prompt(prompt, type(self).__name__, sizes)
        if self.prompt is None:
            return
        if not isinstance(init_cfg, (dict, type(None))) and pretrained_cfg(init_cfg) is not None:
            raise ValueError(
                'init_cfg of PromptedVisionTransformer is a list with type='
                "'Pretrained', after which MMPretrain draws a random "
                'positional embedding: give that entry alone, as a dict.'
            )
        self.freeze_all_but(self.prompt)

    def train(self, mode: bool = True) -> 'PromptedVisionTransformer':
        """With a prompt only that is ever in training mode."""
        if self.prompt is None:
            VisionTransformer.train(self, mode)
            return self
        return super().train(mode)

    def init_weights(self) -> None:
        """As the base class; says so if the frozen weights are random."""
        super().init_weights()
        if self.prompt is not None and not self.weights_loaded:
            print_log(
                'The frozen PromptedVisionTransformer has RANDOM weights so '
                "far: name them in init_cfg=dict(type='Pretrained', "
                "checkpoint=..., prefix='backbone').",
                logger='current',
                level=30,
            )

    def weights_name(self) -> dict:
        layers, heads = self.num_layers, self.arch_settings['num_heads']
        patch = self.patch_embed.projection.kernel_size[0]
        cfg = pretrained_cfg(self.init_cfg)
        return dict(
            arch=f'ViT of {layers} layers, width {self.embed_dims}, {heads} '
            f'heads, patches of {patch}',
            pretrained=cfg and Path(cfg['checkpoint']).name,
        )

    def check_weights(self, expected: dict, found: dict) -> None:
        # Checkpoints of self-supervised methods have no norm of the average.
        missing = sorted(n for n in set(expected) - set(found) if not n.startswith('ln2.'))
        wrong = [
            f'{n} {tuple(found[n].shape)} instead of {tuple(t.shape)}'
            for n, t in expected.items()
            if n in found and found[n].shape != t.shape
        ]
        if missing or wrong:
            raise ValueError(
                'The weights of the frozen backbone do not fit: '
                f'missing {", ".join(missing[:3]) or "nothing"}; of other '
                f'shape {", ".join(wrong[:3]) or "nothing"}. Set arch, '
                'patch_size, pre_norm and layer_scale_init_value of '
                'model.backbone to those of the checkpoint.'
            )

    def embed(self, images: torch.Tensor) -> tuple[torch.Tensor, tuple[int, int]]:
        """Turn images (B, 3, H, W) into what enters the first layer, (B, N, D),
        as the base class does, and the grid of patches."""
        tokens, grid = self.patch_embed(images)
        if self.cls_token is not None:
            first = self.cls_token.expand(len(images), -1, -1)
            tokens = torch.cat([first, tokens], dim=1)
        tokens = tokens + resize_pos_embed(
            self.pos_embed,
            self.patch_resolution,
            grid,
            mode=self.interpolate_mode,
            num_extra_tokens=self.num_extra_tokens,
        )
        return self.pre_norm(self.drop_after_pos(tokens)), grid

    def forward(self, images: torch.Tensor) -> tuple:
        """Features of each of ``out_indices``, as ``out_type`` says."""
        if self.prompt is None:
            return super().forward(images)
        (tokens, grid), outs = self.embed(images), []
        staying = tokens[:, :0]  # of the prompt, (B, P, D)
        for depth in range(self.depth):
            tokens, staying = self._prompted(depth, tokens, staying)
            if depth == self.num_layers - 1 and self.final_norm:
                tokens = self.ln1(tokens)
            if depth in self.out_indices:
                outs.append(self._format_output(tokens, grid))
        return tuple(outs)

    def _prompted(self, depth, tokens, staying):
        """One layer: its image tokens, and the prompt's that go on."""
        layer, last, count = self.layers[depth], depth == self.depth - 1, tokens.shape[1]
        staying, leaving = enter(self.prompt.at_block(depth, tokens), staying, self.pre_norm)
        if last:
            if staying.shape[1]:
                leaving = staying if leaving is None else joined(staying, leaving)
            read = 1 if self.out_type == 'cls_token' else None
            return run_layer(layer, tokens, leaving, read), staying
        tokens = run_layer(layer, joined(tokens, staying), leaving)
        return tokens[:, :count], tokens[:, count:]
