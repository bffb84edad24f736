"""TCP: text prompts that carry the knowledge of their class."""

from collections import OrderedDict
from collections.abc import Sequence

import torch
import torch.nn as nn
from mmpretrain.registry import MODELS

from mmdpt.utils.checks import check_count
from mmdpt.utils.values import Size

from ..clip.edits import Edit
from ..clip.text_tower import TextTower
from ..part import ModelInfo
from .base import TextPrompt
from .coop import initial_context
from .templates import FrozenBank, fill_template

CLASS_TOKENS = 4  # in the public code, regardless of the other numbers


class QuickGELU(nn.Module):
    """x sigmoid(1.702 x)."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * torch.sigmoid(1.702 * x)


@MODELS.register_module()
class TCP(TextPrompt):
    """Learnt context, and in a middle block tokens made from each class's
    frozen text feature.

    `TCP: Textual-based Class-aware Prompt Tuning
    <https://arxiv.org/abs/2311.18231>`_, section 3.2. The four tokens of class
    c are ``W2 a(W1 w_c + b1) + b2``, with w_c the normalised feature of the
    hand-written prompt; they take the positions after the start of text.

    Args:
        about (ModelInfo): The model.
        template (str): The prompt that the context enters, with one ``{}``;
            the context takes its first ``num_tokens`` tokens.
        num_tokens (int): Context length n.
        init_words (str, optional): Start the context at the embeddings of
            these words instead of at random (normal, deviation 0.02).
        layers (Sequence[int]): Blocks that the class tokens enter, from 0.
        weights (Sequence[float], optional): Share of the class tokens at each
            of them. Defaults to 1: they replace what was there.
        reduction (int): The hidden layer has E // reduction units.
        init_cfg (dict, optional): Not used; the values are initialised here.

    Raises:
        ValueError: If a value is out of range or a prompt is too long.
    """

    requires = frozenset({'frozen_text'})

    def __init__(
        self,
        about: ModelInfo,
        template: str = 'X X X X {}.',
        num_tokens: int | None = None,
        init_words: str | None = None,
        layers: Sequence[int] = (8,),
        weights: Sequence[float] | None = None,
        reduction: Size = 4,
        init_cfg: dict | None = None,
    ):
        super().__init__(about, init_cfg)
        tower = about.text_tower
        depth, width = len(tower.blocks), tower.embed_dim
        for layer in layers:
            check_count('layers', layer, 0, depth - 1, f'the text tower has {depth} blocks')
        if not layers or list(layers) != sorted({*layers}):
            raise ValueError(f'layers must be blocks in ascending order, but is {layers!r}.')
        weights = [1.0] * len(layers) if weights is None else list(weights)
        if len(weights) != len(layers) or not all(0 < w <= 1 for w in weights):
            raise ValueError(
                f'weights must be one number above 0 and up to 1 per layer, of which '
                f'there are {len(layers)}, but is {weights!r}.'
            )
        check_count('reduction', reduction, 1, width, f'text features have {width} values')
        if init_words is None and num_tokens is None:
            num_tokens = CLASS_TOKENS
        start = initial_context(tower, num_tokens, init_words)
        if init_words is None:
            nn.init.normal_(start, std=0.02)
        wide = torch.promote_types(start.dtype, torch.float32)
        self.context = nn.Parameter(start.to(wide))
        self.num_tokens = len(start)
        self.shares = dict(zip(layers, weights))
        self.meta_net = nn.Sequential(
            OrderedDict(
                linear1=nn.Linear(width, width // reduction),
                relu=QuickGELU(),  # the public code's name
                linear2=nn.Linear(width // reduction, CLASS_TOKENS * tower.width),
            )
        ).to(wide)
        self._anchors = about.frozen_text
        self._lay_out(tower, about.classes, template)

    def _lay_out(self, tower: TextTower, classes: Sequence[str], template: str) -> None:
        first, count = len(tower.start), self.num_tokens
        self.placeholders: list[list[int]] = []
        for name in classes:
            tokens = fill_template(tower, name, template)
            if len(tokens) < first + max(count, CLASS_TOKENS) + len(tower.end):
                raise ValueError(
                    f'The prompt of class {name!r} has {len(tokens) - first - len(tower.end)} '
                    f'tokens, but {max(count, CLASS_TOKENS)} are to be replaced: give a longer '
                    'template.'
                )
            self.placeholders.append(tokens)
        self.frozen = FrozenBank(tower, self.placeholders)
        context = list(range(len(self.frozen), len(self.frozen) + count))
        rows = [[self.frozen.row[i] for i in tokens] for tokens in self.placeholders]
        self.pack([r[:first] + context + r[first + count :] for r in rows])

    def bank(self, image=None) -> torch.Tensor:
        frozen = self.frozen.embedding
        return torch.cat([frozen, self.context.to(frozen)])

    def class_tokens(self) -> torch.Tensor:
        """The tokens of all classes, (C, 4, W)."""
        return self.meta_net(self._anchors()).unflatten(1, (CLASS_TOKENS, -1))

    def at_block(self, depth: int) -> Edit | None:
        if depth not in self.shares:
            return None
        return Edit(self.class_tokens(), weight=self.shares[depth])
