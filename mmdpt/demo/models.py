"""The models that the page offers, by name, and the ones in memory."""

import os.path as osp
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn as nn

from mmdpt.apis import PromptInferencer
from mmdpt.apis.plan import plan_of_checkpoint
from mmdpt.datasets.pictures import WHITE, background_of
from mmdpt.engine.published import WEIGHTS

from .card import card

KEPT = 4  # models with their text features


class Choice(NamedTuple):
    """A model of the page.

    Attributes:
        classes (list[str]): Its own class names.
        make (Callable): Builds a :class:`PromptInferencer` for other class
            names, or with None for its own.
        path (str): Its file, which no message on the page tells.
        background (tuple[int]): What it wants under transparent parts.
        card (str): What the page says about it, Markdown.
    """

    classes: list[str]
    make: Callable[[Sequence[str] | None], PromptInferencer]
    path: str = ''
    background: tuple[int, int, int] = WHITE
    card: str = ''


def checkpoint_choice(
    path: str, config: str | None = None, pretrained: str | None = None, device: str | None = None
) -> Choice:
    """A trained checkpoint; only its class names and recipe are read for now.

    Args: As of :class:`mmdpt.apis.PromptInferencer`.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If the checkpoint is damaged, or carries no recipe or no
            class names.
    """
    plan = plan_of_checkpoint(path, config)
    classes = plan.classes
    if not classes:
        raise ValueError(f'{path} does not name its classes: choose a checkpoint that mmdpt wrote')
    make = partial(PromptInferencer, path, config=config, pretrained=pretrained, device=device)
    return Choice(
        classes,
        lambda names: make(classes=names),
        osp.abspath(path),
        background_of(plan.pipeline),
        card(method_of(plan.model), classes, plan.model.get('pretrained'), osp.abspath(path)),
    )


def zero_shot_choice(classes: Sequence[str], **kwargs) -> Choice:
    """Frozen CLIP; see :meth:`mmdpt.apis.PromptInferencer.zero_shot`."""
    own = list(classes)
    return Choice(
        own,
        lambda names: PromptInferencer.zero_shot(names or own, **kwargs),
        card=card('zero-shot CLIP, which has learnt nothing', own, kwargs.get('pretrained')),
    )


def method_of(model: dict) -> str:
    """What learns in a model, by the parts that its config names."""
    parts = [model.get(key) for key in ('text_prompt', 'visual_prompt', 'tuning', 'head')]
    kinds = [str(part['type']).rsplit('.')[-1] for part in parts if part and 'type' in part]
    return ' + '.join(kinds) or str(model.get('type', 'unknown'))


def find_checkpoints(folder: str) -> list[str]:
    """The .pth files below a folder, and those of the command publish, sorted; hidden ones are
    left out.

    Raises:
        FileNotFoundError: If there is no such folder, or none in it.
    """
    if not osp.isdir(folder):
        raise FileNotFoundError(f'no folder {folder}')
    below = Path(folder)
    places = [*below.rglob('*.pth'), *(file.parent for file in below.rglob(WEIGHTS))]
    found = sorted(
        path
        for path in places
        if not any(part.startswith('.') for part in path.relative_to(folder).parts)
    )
    if not found:
        raise FileNotFoundError(
            f'no checkpoint (.pth) in the folder {folder}: give the work directory of a training'
        )
    return [str(path) for path in found]


class Models:
    """Build the chosen models once and keep the last few.

    A model in memory has its text encoded, so that a photo costs one pass of
    the image tower; another list of class names is another model. The frozen
    weights, nearly all of the memory, are shared among those that are kept.

    Args:
        choices (dict[str, Choice]): What the page may choose from.
        kept (int): How many stay in memory.
    """

    def __init__(self, choices: dict[str, Choice], kept: int = KEPT):
        if not choices:
            raise ValueError('the page has no model to offer')
        self.choices, self.kept = choices, kept
        self.ready: OrderedDict = OrderedDict()
        self.lock = threading.Lock()

    @property
    def names(self) -> list[str]:
        """What the page lists."""
        return list(self.choices)

    def choice(self, name: str) -> Choice:
        """Raise ValueError unless the page offers it."""
        if name not in self.choices:
            raise ValueError(f'there is no model {name[:100]!r}: choose one from the list')
        return self.choices[name]

    def get(self, name: str, classes: Sequence[str] | None = None) -> PromptInferencer:
        """The model, from memory or built now.

        Raises:
            ValueError: If there is none of that name, or its method cannot
                take other classes.
            FileNotFoundError: If a file has gone.
        """
        key = (name, None if classes is None else tuple(classes))
        with self.lock:
            if key not in self.ready:
                self.ready[key] = self._build(self.choice(name), classes)
            self.ready.move_to_end(key)
            while len(self.ready) > self.kept:
                self.ready.popitem(last=False)
            return self.ready[key]

    def _build(self, choice: Choice, classes) -> PromptInferencer:
        try:
            built = choice.make(classes)
        except (ValueError, OSError) as error:
            told = str(error).replace(choice.path, 'the checkpoint') if choice.path else error
            raise ValueError(str(told)) from error
        for other in self.ready.values():
            share_frozen(built.model, other.model)
        return built


def share_frozen(model: nn.Module, other: nn.Module) -> None:
    """Let a model use the frozen weights of another where they are equal."""
    theirs = {name: p for name, p in other.named_parameters() if not p.requires_grad}
    for name, mine in model.named_parameters():
        found = theirs.get(name)
        if (
            found is not None
            and not mine.requires_grad
            and mine.dtype == found.dtype
            and mine.device == found.device
            and torch.equal(mine, found)
        ):
            mine.data = found.data
