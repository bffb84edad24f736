"""Where a prompted CLIP looks, as numbers."""

from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

from mmdpt.evaluation.calibration import tempered
from mmdpt.models.classifier import PromptedCLIP
from mmdpt.models.clip.blocks import run_block
from mmdpt.models.clip.image_tower import ImageTower
from mmdpt.models.heads.match import similarity
from mmdpt.models.prompts.class_aware import CAVPT
from mmdpt.models.tuning.base import frozen_towers

from .recorder import class_token_attention

CLASSES_SHOWN = 5  # where the method selects none itself


class ImageAttention(NamedTuple):
    """What the model did with one image. N = 1 + h w: class token, patches.

    Attributes:
        grid (tuple[int, int]): Rows h and columns w of patches.
        class_ids (ndarray): The K classes that the class-aware prompts were
            made for, or the K most probable ones, (K,).
        ranks (ndarray): Their zero-shot ranks from 1, (K,).
        zero_shot (ndarray): Frozen CLIP's probabilities, (C,).
        probabilities (ndarray): The model's, (C,).
        frozen (ndarray): The class token's attention in the last block
            without prompts, mean over heads, (N,).
        adapted (ndarray, optional): The same with P prompts, which follow
            the patches, (N + P,); None if the method leaves the image alone.
        class_aware (ndarray, optional): Attention of each class-aware layer
            over the tokens that enter its block, then over its own learnt
            ones, (M, K, N + 10); None without class-aware prompts.
    """

    grid: tuple[int, int]
    class_ids: np.ndarray
    ranks: np.ndarray
    zero_shot: np.ndarray
    probabilities: np.ndarray
    frozen: np.ndarray
    adapted: np.ndarray | None
    class_aware: np.ndarray | None


@torch.no_grad()
def attention_maps(
    model: PromptedCLIP, inputs: torch.Tensor, top_k: int | None = None, temperature: float = 1.0
) -> list[ImageAttention]:
    """Look at images with a model in evaluation mode.

    The comparison with and without prompts is that of the DPT paper
    (https://arxiv.org/abs/2208.08340, visualization of attention maps).

    Args:
        model (PromptedCLIP): The classifier.
        inputs (Tensor): Normalised images, (B, 3, H, W).
        top_k (int, optional): How many classes to look at. Defaults to all
            that the class-aware prompts were made for, else to 5.
        temperature (float): That of a calibration, which divides the model's
            logits. Defaults to 1.

    Returns:
        list[ImageAttention]: One per image.

    Raises:
        ValueError: If the model has no vision transformer, or ``top_k`` is
            out of range.
    """
    check_model(model)
    match = model.match(inputs)
    logits = model.head(match)
    class_ids = _choose_classes(match, logits, top_k)

    tokens = model.backbone.embed(inputs)
    with frozen_towers(model.tuning):
        feature, (last, *_) = _walk(model, tokens, None, None)
        frozen = class_token_attention(model.backbone.blocks[-1], *last)
    zero_shot = similarity(feature, model.frozen_text_features(), model.scale)
    adapted = class_aware = None
    if model.sides.adapts_images:
        classes = None if match.class_ids is None else F.embedding(match.class_ids, match.text)
        _, entered = _walk(model, tokens, model.visual_prompt, classes)
        adapted = class_token_attention(model.backbone.blocks[-1], *entered[0])
        if isinstance(model.visual_prompt, CAVPT):
            class_aware = _class_aware(model.visual_prompt, entered, classes)
            class_aware = class_aware[:, :, : class_ids.shape[1]]
    ranks = 1 + zero_shot.argsort(descending=True, stable=True).argsort()
    visual = model.backbone.visual
    parts = [
        class_ids,
        ranks.gather(1, class_ids),
        zero_shot.softmax(-1),
        tempered(logits, temperature),
        frozen.mean(1),
        None if adapted is None else adapted.mean(1),
        class_aware,
    ]
    parts = [None if p is None else p.cpu().numpy() for p in parts]
    return [
        ImageAttention(tuple(visual.grid_size), *(None if p is None else p[i] for p in parts))
        for i in range(len(inputs))
    ]


def check_model(model: nn.Module) -> None:
    """Raise ValueError unless a model attends to patches."""
    tower = getattr(model, 'backbone', None)
    if not isinstance(model, PromptedCLIP) or not isinstance(tower, ImageTower):
        name = type(tower if isinstance(model, PromptedCLIP) else model)
        arch = getattr(model, 'clip_identity', {}).get('arch')
        raise ValueError(
            f'There is no attention over patches in a {name.__name__}'
            f'{f" ({arch})" if arch else ""}: only the CLIP vision '
            'transformers of PromptedCLIP have it, not ResNet towers; use a '
            'model with arch ViT-B-16-quickgelu, for example.'
        )


def _choose_classes(match, logits: torch.Tensor, top_k: int | None) -> torch.Tensor:
    """The classes to look at, (B, K)."""
    selected = match.class_ids
    most = (logits if selected is None else selected).shape[1]
    if top_k is None:
        top_k = most if selected is not None else min(CLASSES_SHOWN, most)
    if not 1 <= top_k <= most:
        what = (
            f'there are {most} classes'
            if selected is None
            else f'the model has class-aware prompts for {most} classes per image'
        )
        raise ValueError(f'top_k must be from 1 to {most} ({what}), but is {top_k}.')
    return logits.topk(top_k).indices if selected is None else selected[:, :top_k]


def _walk(model, tokens, prompt, classes):
    """Image features (B, E), and what entered the blocks, the last first:
    tokens (B, N, D), the image's first, and those that leave with the block,
    (B or 1, P, D) or None."""
    entered = []

    def run(block, tokens, extra=None, read=None):
        entered.append((tokens, extra))
        return run_block(block, tokens, extra, read)

    # What becomes of the prompt's tokens does not matter here.
    asked = prompt and SimpleNamespace(at_block=prompt.at_block, gives=frozenset())
    feature = model.backbone(tokens, asked, classes, run=run).feature
    return feature.to(model.scale.dtype), entered[::-1]


def _class_aware(prompt: CAVPT, entered, classes: torch.Tensor):
    """Weights of all class-aware layers, (B, M, K, N + 10)."""
    weights = []
    for layer, (tokens, _) in zip(reversed(prompt.layers), entered):
        query = layer.class_proj(classes.to(layer.class_proj.weight.dtype))
        weights.append(layer.attend(query, tokens)[1])
    return torch.stack(weights[::-1], dim=1)


def patch_map(weights: np.ndarray, grid: tuple[int, int]) -> np.ndarray:
    """The patches' part of weights (..., N + P), as they are arranged in the image,
    (..., h, w)."""
    rows, columns = grid
    patches = weights[..., 1 : 1 + rows * columns]
    return patches.reshape(*weights.shape[:-1], rows, columns)


def shares(weights: np.ndarray, grid: tuple[int, int]) -> dict[str, float]:
    """How weights (N + P,) divide among class token, patches, and prompts or
    learnt tokens: ``class_token``, ``patches``, ``learnt``."""
    end = 1 + grid[0] * grid[1]
    return dict(
        class_token=float(weights[0]),
        patches=float(weights[1:end].sum()),
        learnt=float(weights[end:].sum()),
    )


def visible_image(preprocessor: nn.Module, image: torch.Tensor) -> np.ndarray:
    """What the network saw, with the normalisation undone.

    Args:
        preprocessor (ClsDataPreprocessor): The model's.
        image (Tensor): Normalised image, (3, H, W).

    Returns:
        ndarray: RGB, uint8, (H, W, 3).
    """
    if preprocessor._enable_normalize:
        image = image * preprocessor.std + preprocessor.mean
    pixels = image.round().clamp(0, 255).byte().permute(1, 2, 0).cpu().numpy()
    return pixels if preprocessor.to_rgb else pixels[..., ::-1]
