"""Harder conditions than the benchmark's, as options of the data: ``dataset.protocol``.

What learns, and how, does not change, so every method can be trained under them. They enter the
hash of the draw and the results, so that no table mixes them with ordinary runs.
"""

import math
import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from mmdpt.utils.values import Closed, first_fault

from .split_files import Item

CORRUPTIONS = (  # the 15 of ImageNet-C, https://arxiv.org/abs/1903.12261, in its order
    'gaussian_noise',
    'shot_noise',
    'impulse_noise',
    'defocus_blur',
    'glass_blur',
    'motion_blur',
    'zoom_blur',
    'snow',
    'frost',
    'fog',
    'brightness',
    'contrast',
    'elastic_transform',
    'pixelate',
    'jpeg_compression',
)


class DataProtocol(Closed):
    """``dataset.protocol`` of a config; what is not given is as in the benchmark.

    Attributes:
        validation: False: the val list is never opened. Whoever asks for it, such as a search
            of settings, is refused.
        imbalance: How many times as many images the first class has as the last one: class c
            of C, in the order of the benchmark's labels, has the first
            ``max(1, int(shots * imbalance ** (-c / (C - 1))))`` of its drawn training images
            (the exponential profile of long-tailed CIFAR, https://arxiv.org/abs/1901.05555).
        label_noise: Which share of all training images gets a wrong label, any other class
            with the same probability (symmetric noise). The val list keeps its labels.
        corruption: What is done to each test image after resizing, see :data:`CORRUPTIONS`.
        severity: Of the corruption, 1 to 5.
    """

    validation: bool = True
    imbalance: Annotated[float, Field(gt=1, le=10_000)] | None = None
    label_noise: Annotated[float, Field(gt=0, lt=1)] | None = None
    corruption: Literal[CORRUPTIONS] | None = None  # type: ignore[valid-type]
    severity: Annotated[int, Field(ge=1, le=5)] | None = None

    @property
    def name(self) -> str:
        """What tables call it; empty for the benchmark's own conditions."""
        parts = [] if self.validation else ['no validation set']
        parts += [f'imbalance {self.imbalance:g}'] if self.imbalance else []
        parts += [f'{100 * self.label_noise:g} % noisy labels'] if self.label_noise else []
        parts += [f'{self.corruption} {self.severity}'] if self.corruption else []
        return ', '.join(parts)

    def said(self) -> dict[str, Any]:
        """What differs from the benchmark."""
        return self.model_dump(exclude_defaults=True)

    def noted(self, name: str | None = None) -> dict[str, Any] | None:
        """What results say of it; None for the benchmark's own conditions."""
        name = self.name if name is None else name
        return dict(self.said(), name=name) if name else None


def read_protocol(value: dict | DataProtocol | None) -> DataProtocol:
    """A config's ``dataset.protocol``.

    Raises:
        ValueError: Names the setting that is wrong.
    """
    if isinstance(value, DataProtocol):
        return value
    known = ', '.join(DataProtocol.model_fields)
    if not isinstance(value, (Mapping, type(None))) or not set(value or ()) <= {*known.split(', ')}:
        raise ValueError(f'dataset.protocol is a dict with any of {known}, not {value!r}')
    try:
        found = DataProtocol.model_validate(dict(value or {}))
    except ValidationError as error:
        raise ValueError(f'dataset.protocol.{first_fault(error)}') from None
    if (found.corruption is None) != (found.severity is None):
        raise ValueError(
            'dataset.protocol: corruption and severity belong together, such as '
            "dict(corruption='fog', severity=3)"
        )
    return found


def check_split(
    protocol: DataProtocol, split: str, shots: int | None, unlabelled: bool = False
) -> None:
    """Refuse a list that a protocol rules out.

    Raises:
        ValueError: Says who may have asked, and the remedy.
    """
    if split == 'val' and not protocol.validation:
        raise ValueError(
            'dataset.protocol.validation is False, so the val list stays closed, but something '
            'chooses on it: fix the settings and take search out of train_cfg, the baselines and '
            'best_on_val out of default_hooks.report; or leave the protocol out'
        )
    if split == 'train' and protocol.imbalance and shots is None:
        raise ValueError(
            'dataset.protocol.imbalance needs a number of shots, which it divides among the '
            'classes: set train_dataloader.dataset.shots'
        )
    if unlabelled and (protocol.imbalance or protocol.label_noise):
        raise ValueError(
            'dataset.protocol: imbalance and label_noise are about labels, and this training '
            'reads none: take unlabelled out of train_dataloader.dataset, or the protocol'
        )


def hardened(
    protocol: DataProtocol, train: list[Item], shots: int | None, seed: int, names: Sequence[str]
) -> tuple[list[Item], list[list]]:
    """The train list under a protocol, and what :func:`mislabelled` changed."""
    if protocol.imbalance and shots:
        train = thinned(train, protocol.imbalance, shots, len(names))
    if protocol.label_noise:
        return mislabelled(train, protocol.label_noise, seed, names)
    return train, []


def thinned(items: Sequence[Item], imbalance: float, shots: int, classes: int) -> list[Item]:
    """The first images of each class, fewer and fewer; see :class:`DataProtocol`.

    Args:
        items (Sequence[Item]): Drawn; labels from 0 to ``classes`` - 1.
        imbalance (float): n of the first class over n of the last.
        shots (int): Images of the first class.
        classes (int): C, at least 2.
    """
    kept, seen = [], defaultdict(int)  # type: ignore[var-annotated]
    for item in items:
        exact = shots * imbalance ** (-item.label / (classes - 1))
        if seen[item.label] < max(1, math.floor(exact + 1e-9)):
            kept.append(item)
            seen[item.label] += 1
    return kept


def mislabelled(
    items: Sequence[Item], rate: float, seed: int, names: Sequence[str]
) -> tuple[list[Item], list[list]]:
    """Give ``round(rate * N)`` of N items the label of another class.

    Args:
        items (Sequence[Item]): N items.
        rate (float): Between 0 and 1.
        seed (int): Of the training.
        names (Sequence[str]): The C class names.

    Returns:
        tuple[list[Item], list[list]]: All items in their order, and path, true and given
        label of those that changed.
    """
    generator = random.Random(f'label noise {seed}')
    found, flipped = list(items), []
    for place in sorted(generator.sample(range(len(found)), round(rate * len(found)))):
        path, true, _ = found[place]
        label = (true + generator.randrange(1, len(names))) % len(names)
        found[place] = Item(path, label, names[label])
        flipped.append([path, true, label])
    return found, flipped
