"""DPT's class-aware visual prompts (section 3.3)."""

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn as nn
from mmengine.model import BaseModule
from mmpretrain.registry import MODELS

from mmdpt.utils.checks import check_count

from ..clip.edits import Edit
from ..part import ModelInfo
from .base import VisualPrompt, random_tokens


class ClassAwareLayer(BaseModule):
    """Class-aware prompts of one block by cross-attention (DPT, section 3.3).

    Text features of the selected classes ask the image tokens, and some learnt
    ones, for their evidence.

    Args:
        width (int): D.
        embed_dim (int): E.
        num_classes (int): C.
        num_tokens (int): Learnt tokens besides the image's. Defaults to 10, as
            in the reference code, whatever the other numbers.
        key_dim (int): Size of the attention space. Defaults to 32.
    """

    def __init__(
        self, width: int, embed_dim: int, num_classes: int, num_tokens: int = 10, key_dim: int = 32
    ):
        super().__init__()
        self.tokens = random_tokens(num_tokens, width)
        self.class_proj = nn.Linear(embed_dim, width)
        self.query = nn.Linear(width, key_dim, bias=False)
        self.key = nn.Linear(width, key_dim, bias=False)
        self.value = nn.Linear(width, width, bias=False)
        self.evidence_norm = nn.LayerNorm(width)
        self.evidence = nn.Linear(width, num_classes, bias=False)
        self.prompt_norm = nn.LayerNorm(width)

    def attend(
        self, query: torch.Tensor, tokens: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Single-head cross-attention.

        Args:
            query (Tensor): One vector per selected class, (B, K, D).
            tokens (Tensor): Image tokens, (B, N, D); no gradient flows back.

        Returns:
            tuple: What each class found (B, K, D), and its weights over the
            image tokens, then the learnt ones, (B, K, N + 10).
        """
        learnt = self.tokens.expand(tokens.shape[0], -1, -1)
        keys = torch.cat([tokens.detach().to(learnt.dtype), learnt], dim=1)
        query, key = self.query(query), self.key(keys)
        scores = query @ key.transpose(1, 2) * key.shape[-1] ** -0.5
        weights = scores.softmax(dim=-1)
        return self.value(weights @ keys), weights

    def forward(
        self, tokens: torch.Tensor, classes: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Make the prompts.

        Args:
            tokens (Tensor): Tokens entering the block, (B, N, D).
            classes (Tensor): Text features, (B, K, E).

        Returns:
            tuple: Prompts (B, K, D) and class evidence (B, K, C).
        """
        query = self.class_proj(classes.to(self.class_proj.weight.dtype))
        attended, _ = self.attend(query, tokens)
        evidence = self.evidence(self.evidence_norm(attended))
        return self.prompt_norm(attended + query), evidence


@MODELS.register_module()
class CAVPT(VisualPrompt):
    """Class-aware visual prompts in the last layers, deep VPT below.

    `Dual Modality Prompt Tuning for Vision-Language Pre-Trained Model
    <https://arxiv.org/abs/2208.08340>`_, section 3.3.

    Args:
        about (ModelInfo): The model.
        num_tokens (int): Plain visual prompts of each lower block.
        num_layers (int | str): M, how many of the last blocks are class-aware;
            'all' (BOTTOMLIMIT 1 of the authors' code): there are no plain
            prompts.
        top_k (int | str): K, prompts per class-aware block: one for each of the
            K classes that zero-shot CLIP finds most likely; 'all': for each
            class.

    Raises:
        ValueError: If a number is out of range.
    """

    requires = frozenset({'class_ids'})
    gives = frozenset({'evidence'})

    def __init__(
        self,
        about: ModelInfo,
        num_tokens: int = 10,
        num_layers: int | Literal['all'] = 1,
        top_k: int | Literal['all'] = 10,
        init_cfg: dict | None = None,
    ):
        super().__init__(about, init_cfg)
        depth, width = about.image_tower.depth, about.image_tower.width
        num_classes = len(about.classes)
        check_count('num_tokens', num_tokens, 1, 1000, 'visual prompts')
        num_layers = depth if num_layers == 'all' else num_layers
        check_count('num_layers', num_layers, 1, depth, f'the tower has {depth} blocks')
        top_k = num_classes if top_k == 'all' else top_k
        why = f"there are {num_classes} classes; lower top_k, or set 'all'"
        check_count('top_k', top_k, 1, num_classes, why)
        self.top_k, self.num_plain = top_k, depth - num_layers
        self.tokens = random_tokens(self.num_plain, num_tokens, width) if self.num_plain else None
        self.layers = nn.ModuleList(
            ClassAwareLayer(width, about.image_tower.embed_dim, num_classes)
            for _ in range(num_layers)
        )

    def transfer(self, old: Sequence[str]) -> set[str]:
        # Class evidence has one output per class. It serves the loss alone, so
        # the model predicts without the old one as it would with it.
        return {f'layers.{i}.evidence.weight' for i in range(len(self.layers))}

    def at_block(self, depth, tokens, classes=None):
        if depth < self.num_plain:
            return Edit(self.tokens[depth], 'append', stays=False)
        prompts, evidence = self.layers[depth - self.num_plain](tokens, classes)
        return Edit(prompts, 'append', stays=False, evidence=evidence)
