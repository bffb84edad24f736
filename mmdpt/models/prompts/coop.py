"""CoOp: learnt context around the class name."""

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn as nn
import torch.nn.functional as F
from mmpretrain.registry import MODELS

from ..clip.text_tower import TextTower
from ..part import ModelInfo
from .base import TextPrompt
from .templates import FrozenBank, clean_name, prompt_tokens

POSITIONS = ('end', 'middle', 'front')


@MODELS.register_module()
class CoOp(TextPrompt):
    """Learnt context in front of, behind or around the class name.

    `Learning to Prompt for Vision-Language Models
    <https://arxiv.org/abs/2109.01134>`_, section 3.2.

    Args:
        about (ModelInfo): The model.
        num_tokens (int, optional): Context length n. Defaults to 16, or to
            the number of tokens of ``init_words``.
        position (str): Where the class name is: 'end' (context, name),
            'middle' (first n // 2 of the context, name, the others) or
            'front' (name, context). Full stop and end of text come last.
        class_specific (bool): One context per class instead of one for all.
        init_words (str, optional): Start the context at the embeddings of
            these words instead of at random (normal, deviation 0.02).
        zero_fill (bool): With a context longer than ``init_words``: the words
            fill its end, and zeros the rest (ProGrad).
        frozen_words (str, optional): Words between the context and the class
            name that are not learnt (MaPLe, ProGrad); at position 'end'.
        init_cfg (dict, optional): Not used; the context is initialised here.

    Raises:
        ValueError: If a value is out of range or a prompt is too long.
    """

    def __init__(
        self,
        about: ModelInfo,
        num_tokens: int | None = None,
        position: Literal['end', 'middle', 'front'] = 'end',
        class_specific: bool = False,
        init_words: str | None = None,
        zero_fill: bool = False,
        frozen_words: str | None = None,
        init_cfg: dict | None = None,
    ):
        super().__init__(about, init_cfg)
        tower, classes = about.text_tower, about.classes
        if position not in POSITIONS:
            raise ValueError(
                f'position={position!r} is unknown; use one of {", ".join(POSITIONS)}.'
            )
        if frozen_words is not None and position != 'end':
            raise ValueError(
                f'frozen_words={frozen_words!r} are between '
                f'context and name, but position={position!r}: '
                "use position='end', or leave them out."
            )
        start = initial_context(tower, num_tokens, init_words, zero_fill)
        if class_specific:
            start = start.expand(len(classes), -1, -1).clone()
        if init_words is None:
            nn.init.normal_(start, std=0.02)
        self.num_tokens = start.shape[-2]
        self.position = position
        self.class_specific = class_specific
        self.frozen_words = tower.tokenizer.encode(clean_name(frozen_words or ''))
        # Learnt in single precision even if the tower is in half.
        wide = torch.promote_types(start.dtype, torch.float32)
        self.context = nn.Parameter(start.to(wide))
        self._lay_out(tower, classes)

    def transfer(self, old: Sequence[str]) -> set[str]:
        if self.class_specific:
            raise ValueError(
                'transfer=True cannot carry class-specific context to other '
                f'classes: each of the {len(old)} contexts was learnt for its '
                'class. Train with text_prompt.class_specific=False.'
            )
        return set()

    def _lay_out(self, tower: TextTower, classes: Sequence[str]) -> None:
        words = self.frozen_words
        parts = [split_prompt(tower, name, self.num_tokens + len(words)) for name in classes]
        parts = [(sos, words + name, rest) for sos, name, rest in parts]
        self.frozen = FrozenBank(tower, [sum(part, []) for part in parts])
        prompts = []
        for c, part in enumerate(parts):
            # In the bank the context rows follow the frozen ones.
            first = len(self.frozen) + c * self.num_tokens * self.class_specific
            context = list(range(first, first + self.num_tokens))
            sos, name, rest = ([self.frozen.row[i] for i in ids] for ids in part)
            before = dict(end=self.num_tokens, middle=self.num_tokens // 2, front=0)[self.position]
            prompts.append(sos + context[:before] + name + context[before:] + rest)
        self.pack(prompts)

    def bank(self, image=None) -> torch.Tensor:
        frozen = self.frozen.embedding
        return torch.cat([frozen, self.context.flatten(0, -2).to(frozen)])


def split_prompt(
    tower: TextTower, name: str, num_context: int
) -> tuple[list[int], list[int], list[int]]:
    """Tokens of a prompt around its context: start, name, rest.

    Name and full stop are tokenized as one text, as they are read, and the
    name is its first tokens: as many as the name has by itself. A name whose
    last character is a punctuation mark may share a token with the stop.
    """
    text = clean_name(name)
    tokens = prompt_tokens(tower, name, f'{text}.', num_context)
    length = len(tower.tokenizer.encode(text))
    if length == 0:
        raise ValueError(f'Class name {name!r} is empty; give every class a name.')
    first = len(tower.start)
    # never past the end of text
    cut = min(first + length, len(tokens) - len(tower.end))
    return tokens[:first], tokens[first:cut], tokens[cut:]


def initial_context(
    tower: TextTower, num_tokens: int | None, init_words: str | None, zero_fill: bool = False
) -> torch.Tensor:
    """The start value (n, W), or room for a random one."""
    weight = tower.token_embedding.weight
    if init_words is not None:
        ids = tower.tokenizer.encode(clean_name(init_words))
        longer = zero_fill and (num_tokens or 0) > len(ids)
        if not ids or num_tokens not in (None, len(ids)) and not longer:
            raise ValueError(
                f'init_words={init_words!r} are {len(ids)} tokens, but '
                f'num_tokens={num_tokens}: leave num_tokens out or give '
                'other words (fewer, and zero_fill=True, to put zeros in '
                'front).'
            )
        start = weight[torch.tensor(ids, device=weight.device)].detach().clone()
        zeros = (num_tokens or len(ids)) - len(ids)
        return F.pad(start, (0, 0, zeros, 0))
    num_tokens = 16 if num_tokens is None else num_tokens
    if not isinstance(num_tokens, int) or num_tokens < 1:
        raise ValueError(f'num_tokens must be a whole number of at least 1, but is {num_tokens!r}.')
    return weight.new_empty(num_tokens, weight.shape[1])
