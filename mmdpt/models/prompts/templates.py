"""Hand-written prompts: names and templates as tokens."""

from collections.abc import Sequence

import torch
import torch.nn as nn
from mmpretrain.registry import MODELS

from ..clip.text_tower import TextTower
from ..clip.texts import prompt_tokens
from ..part import ModelInfo
from .base import TextPrompt


def clean_name(name: str) -> str:
    """A class name as it is written in a prompt."""
    return name.replace('_', ' ').strip()


def fill_template(tower: TextTower, name: str, template: str) -> list[int]:
    """Tokens of a template filled with a class name.

    Raises:
        ValueError: If the template has no single ``{}``, or the prompt is too
            long.
    """
    if not isinstance(template, str) or template.count('{}') != 1:
        raise ValueError(
            f'Template {template!r} needs exactly one {{}}, '
            "where the class name goes: 'a photo of a {}.'."
        )
    return prompt_tokens(tower, name, template.replace('{}', clean_name(name)))


class FrozenBank(nn.Module):
    """The frozen embeddings that some prompts use, looked up once.

    Args:
        tower (TextTower): Gives the embeddings.
        prompts (Sequence[Sequence[int]]): Token ids.
    """

    embedding: torch.Tensor

    def __init__(self, tower: TextTower, prompts: Sequence[Sequence[int]]):
        super().__init__()
        ids = sorted({i for prompt in prompts for i in prompt})
        self.row = {token: row for row, token in enumerate(ids)}
        device = tower.token_embedding.weight.device
        with torch.no_grad():
            rows = tower.token_embedding(torch.tensor(ids, device=device))
        self.register_buffer('embedding', rows, persistent=False)

    def __len__(self) -> int:
        return len(self.row)


@MODELS.register_module()
class TemplatePrompt(TextPrompt):
    """One hand-written template filled with every class name.

    Args:
        about (ModelInfo): The model.
        template (str): A text with one ``{}``.
        init_cfg (dict, optional): Not used; nothing is learnt.

    Raises:
        ValueError: If the template has no single ``{}`` or a prompt is too
            long.
    """

    def __init__(self, about: ModelInfo, template: str, init_cfg: dict | None = None):
        super().__init__(about, init_cfg)
        tower = about.text_tower
        tokens = [fill_template(tower, name, template) for name in about.classes]
        self.frozen = FrozenBank(tower, tokens)
        self.pack([[self.frozen.row[i] for i in prompt] for prompt in tokens])

    def bank(self, image=None) -> torch.Tensor:
        return self.frozen.embedding
