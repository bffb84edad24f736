"""What the text tower reads: hand-written templates, or learnt context."""

from collections.abc import Sequence

import torch
import torch.nn as nn
import torch.nn.functional as F
from mmengine.model import BaseModule
from mmpretrain.registry import MODELS

from .edits import Edit
from .model_info import Part
from .text_encoding import PackedPrompts, Packing
from .towers import TextTower

POSITIONS = ('end', 'middle', 'front')


def clean_name(name: str) -> str:
    """A class name as it is written in a prompt."""
    return name.replace('_', ' ').strip()


def prompt_tokens(tower: TextTower, name: str, text: str, num_context: int = 0) -> list[int]:
    """Tokenize a prompt: start, text, end.

    Args:
        tower (TextTower): Gives the tokenizer and the context length.
        name (str): The class name, for the error message.
        text (str): What is tokenized.
        num_context (int): Number of learnt tokens that come on top.

    Raises:
        ValueError: If the prompt is longer than the context, or the text
            holds a start or end mark.
    """
    body = tower.tokenizer.encode(text)
    if {*tower.start, *tower.end} & {*body}:
        raise ValueError(
            f'The prompt {text!r} holds the mark of a start or '
            'end of text; leave it out of the template.'
        )
    count = len(tower.start) + len(body) + len(tower.end) + num_context
    if count > tower.context_length:
        context = f' with {num_context} context tokens' if num_context else ''
        raise ValueError(
            f'The prompt of class {name!r}{context} has {count} tokens, but '
            f'the text tower takes {tower.context_length}: shorten the class '
            'name or the template, or lower num_tokens.'
        )
    known = tower.token_embedding.num_embeddings
    if max(body, default=0) >= known:
        raise ValueError(
            f'The tokenizer gives {text!r} the token {max(body)},'
            f' but the text tower knows {known}: it is the '
            'tokenizer of another model.'
        )
    return [*tower.start, *body, *tower.end]


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


class TextPrompt(Part, BaseModule):
    """Base of all text prompts: calling it gives :class:`PackedPrompts`.

    A subclass calls :meth:`pack` once with its prompts and returns its bank of
    embeddings, (U, W) or (G, U, W), from :meth:`bank`.

    Attributes:
        needs_image (bool): Whether the prompts depend on the image.
        constant_below (int): No learnt value enters before this block of the
            text tower: the states below are computed once.
    """

    needs_image = False
    constant_below = 0

    def pack(self, prompts: Sequence[Sequence[int]]) -> None:
        """Lay out the prompts, given as indices into the bank."""
        self.packing = Packing(prompts)

    def bank(self, image: torch.Tensor | None = None) -> torch.Tensor:
        raise NotImplementedError

    def at_block(self, depth: int) -> Edit | None:
        """What changes before block ``depth`` of the text tower; None:
        nothing."""
        return None

    def forward(
        self, image: torch.Tensor | None = None, packing: Packing | None = None
    ) -> PackedPrompts:
        """Put the prompts together.

        Args:
            image (Tensor, optional): Frozen image features, (B, E), where
                ``needs_image``.
            packing (Packing, optional): Lay out these prompts instead of all
                classes'.

        Returns:
            PackedPrompts: Ready for the text tower.
        """
        packing = packing or self.packing
        bank = self.bank(image)
        if bank.dim() == 2:
            # Unlike indexing, embedding has a deterministic backward pass.
            prefix = F.embedding(packing.prefix, bank)[None]
            own = F.embedding(packing.own, bank)[None]
        else:
            prefix = bank[:, packing.prefix]
            own = bank[:, packing.own]
        return PackedPrompts(prefix, own, packing, self.at_block, self.constant_below)


@MODELS.register_module()
class TemplatePrompt(TextPrompt):
    """One hand-written template filled with every class name.

    Args:
        tower (TextTower): The frozen text tower.
        classes (Sequence[str]): The class names.
        template (str): A text with one ``{}``.
        init_cfg (dict, optional): Not used; nothing is learnt.

    Raises:
        ValueError: If the template has no single ``{}`` or a prompt is too
            long.
    """

    def __init__(
        self, tower: TextTower, classes: Sequence[str], template: str, init_cfg: dict | None = None
    ):
        super().__init__(init_cfg=init_cfg)
        tokens = [fill_template(tower, name, template) for name in classes]
        self.frozen = FrozenBank(tower, tokens)
        self.pack([[self.frozen.row[i] for i in prompt] for prompt in tokens])

    def bank(self, image=None) -> torch.Tensor:
        return self.frozen.embedding


@MODELS.register_module()
class CoOp(TextPrompt):
    """Learnt context in front of, behind or around the class name.

    `Learning to Prompt for Vision-Language Models
    <https://arxiv.org/abs/2109.01134>`_, section 3.2.

    Args:
        tower (TextTower): The frozen text tower.
        classes (Sequence[str]): The class names.
        num_tokens (int, optional): Context length n. Defaults to 16, or to
            the number of tokens of ``init_words``.
        position (str): Where the class name stands: 'end' (context, name),
            'middle' (first n // 2 of the context, name, the others) or
            'front' (name, context). Full stop and end of text come last.
        class_specific (bool): One context a class rather than one for all.
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
        tower: TextTower,
        classes: Sequence[str],
        num_tokens: int | None = None,
        position: str = 'end',
        class_specific: bool = False,
        init_words: str | None = None,
        zero_fill: bool = False,
        frozen_words: str | None = None,
        init_cfg: dict | None = None,
    ):
        super().__init__(init_cfg=init_cfg)
        if position not in POSITIONS:
            raise ValueError(
                f'position={position!r} is unknown; use one of {", ".join(POSITIONS)}.'
            )
        if frozen_words is not None and position != 'end':
            raise ValueError(
                f'frozen_words={frozen_words!r} stand between '
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
        # Learnt in single precision also where the tower is in half.
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
