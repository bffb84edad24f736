"""The parts of a classifier that learn, built from their configs."""

from collections.abc import Sequence
from dataclasses import replace

import torch
import torch.nn as nn
from mmpretrain.registry import MODELS

from .part import ModelInfo
from .prompts.templates import TemplatePrompt


def build_parts(
    about: ModelInfo,
    templates: Sequence[TemplatePrompt],
    dtype: torch.dtype,
    text_prompt: dict | None,
    visual_prompt: dict | None,
    tuning: dict | None,
    head: dict,
) -> dict[str, nn.Module | None]:
    """Build text prompt, tuning, visual prompt and head, in this order.

    Each gets to know the model, and the later ones the text prompt.

    Args:
        about (ModelInfo): The model.
        templates (Sequence[TemplatePrompt]): Its hand-written prompts. If
            there is only one, it is the text prompt of a tuning without another.
        dtype (torch.dtype): Of what is learnt besides the text prompt.
        text_prompt, visual_prompt, tuning, head (dict): The configs, or None.

    Returns:
        dict: The parts by name, None for those not configured.

    Raises:
        ValueError: If an option is out of range, or a tuning would have to
            choose among templates.
    """

    def build(config):
        return config and MODELS.build(config, default_args=dict(about=about))

    parts = dict(text_prompt=build(text_prompt), tuning=build(tuning))
    if parts['tuning'] is not None and parts['text_prompt'] is None:
        if len(templates) > 1:
            raise ValueError(
                f'{type(parts["tuning"]).__name__} adapts the features of one template, but there '
                f'are {len(templates)}: set templates to one of them.'
            )
        parts['text_prompt'] = templates[0]
        templates[0].constant_below = parts['tuning'].text_constant_below
    about = replace(about, text_prompt=parts['text_prompt'])
    parts.update(visual_prompt=build(visual_prompt), head=build(head))
    for name in ('tuning', 'visual_prompt', 'head'):
        if parts[name] is not None:
            parts[name].to(dtype)
    return parts
