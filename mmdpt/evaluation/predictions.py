"""What a model said of every test image, in one file that needs no model and no photos.

The format is in docs/trust.md: an ``.npz`` without pickle, of ``logits``, ``labels`` and ``about``.
"""

import hashlib
import io
import json
import zipfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import torch
from pydantic import Field, ValidationError

from mmdpt.utils.bounds import check_parts, check_values
from mmdpt.utils.files import open_regular, replacing
from mmdpt.utils.values import Closed, first_fault

if TYPE_CHECKING:
    import pandas

PREDICTIONS, ZERO_SHOT = 'predictions.npz', 'zero_shot.npz'  # beside a training's results.json
TESTED = 'test_predictions.npz'  # of a test
FORMAT = 1
LARGEST_FILE = 2**34  # bytes
PARTS = {'logits.npy': ('<f4', 2), 'labels.npy': ('<i8', 1), 'about.npy': ('|u1', 1)}
Text = Annotated[str, Field(max_length=10_000)]


class About(Closed):
    """The part ``about`` of a file, as JSON in UTF-8."""

    format: Literal[1]
    images: Annotated[list[Text], Field(min_length=1, max_length=10_000_000)]
    classes: Annotated[list[Text], Field(min_length=2, max_length=100_000)]
    identity: dict[str, Any]


@dataclass(frozen=True, eq=False)
class Predictions:
    """Logits of a list of images, with all that is needed to judge them.

    Attributes:
        logits (Tensor): (N, C), float32 on the CPU, scaled so that their softmax gives the
            probabilities.
        labels (Tensor): (N,), int64; -1 where the label is unknown.
        images (list[str]): Key of each image, as the dataset names it; each once.
        classes (list[str]): Names, in the order of the columns.
        identity (dict): Plain Python, as JSON has it: ``model``, ``data``, ``used_for``,
            ``scores``; see docs/trust.md.

    Raises:
        ValueError: If these do not belong together.
    """

    logits: torch.Tensor
    labels: torch.Tensor
    images: list[str]
    classes: list[str]
    identity: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        images, classes = len(self.images), len(self.classes)
        if self.logits.shape != (images, classes) or self.logits.dtype != torch.float32:
            raise ValueError(
                f'logits are {tuple(self.logits.shape)} {self.logits.dtype}, but there are '
                f'{images} images and {classes} classes: give float32 of that shape'
            )
        if self.labels.shape != (images,) or self.labels.dtype != torch.int64:
            raise ValueError(
                f'labels are {tuple(self.labels.shape)} {self.labels.dtype}, expected int64 of '
                f'({images},)'
            )
        if not torch.isfinite(self.logits).all():
            raise ValueError('the logits are not finite, so they say nothing')
        if self.labels.min() < -1 or self.labels.max() >= classes:
            raise ValueError(f'labels must be from 0 to {classes - 1}, or -1 where unknown')
        if len(set(self.images)) < images:
            raise ValueError('several images have one key')

    @property
    def digest(self) -> str:
        """Hash of the list of images and labels: equal for what can be compared image by image."""
        return list_digest(self.images, self.labels.tolist())

    def probabilities(self, temperature: float = 1.0) -> torch.Tensor:
        """Softmax of the logits / temperature, (N, C), in double precision."""
        return (self.logits.double() / temperature).softmax(dim=1)

    def correct(self) -> torch.Tensor:
        """Whether the likeliest class is the label, (N,) bool; the first of equal ones counts.

        Raises:
            ValueError: If a label is unknown.
        """
        if (self.labels < 0).any():
            raise ValueError('labels are unknown, so nothing is right or wrong')
        return self.logits.argmax(dim=1) == self.labels

    def frame(self) -> 'pandas.DataFrame':
        """One row per image: image, label, predicted (names), confidence, correct."""
        import pandas

        confidence, predicted = self.probabilities().max(dim=1)
        known = [self.classes[i] if i >= 0 else None for i in self.labels.tolist()]
        right = predicted == self.labels
        return pandas.DataFrame(
            dict(
                image=self.images,
                label=known,
                predicted=[self.classes[i] for i in predicted.tolist()],
                confidence=confidence.numpy(),
                correct=[r if k is not None else None for r, k in zip(right.tolist(), known)],
            )
        )

    def write(self, path: str) -> None:
        """Write the file; it is complete, or not there.

        Raises:
            OSError: If it cannot be written.
        """
        about = dict(
            format=FORMAT, images=self.images, classes=self.classes, identity=self.identity
        )
        with replacing(path) as place:
            np.savez(
                place,
                logits=self.logits.numpy().astype('<f4', copy=False),
                labels=self.labels.numpy().astype('<i8', copy=False),
                about=np.frombuffer(json.dumps(about).encode(), np.uint8),
            )

    @classmethod
    def read(cls, path: str) -> 'Predictions':
        """Read what :meth:`write` wrote; nothing in the file is run.

        Raises:
            OSError: If there is no such file.
            ValueError: If it is damaged, or something else; names the file.
        """
        try:
            arrays = _arrays(path)
            about = _about(arrays['about.npy'].tobytes())
            logits, labels = (torch.from_numpy(arrays[f'{n}.npy']) for n in ('logits', 'labels'))
            return cls(logits, labels, about.images, about.classes, about.identity)
        except (ValueError, EOFError, zipfile.BadZipFile, NotImplementedError) as error:
            raise ValueError(
                f'{path} holds no predictions: {error}. Train or test again to write them anew'
            ) from error


def list_digest(images: list[str], labels: list[int]) -> str:
    """SHA-256 of a list of images: the JSON ``[[key, ...], [label, ...]]`` in ASCII."""
    text = json.dumps([images, labels], separators=(',', ':'))
    return hashlib.sha256(text.encode()).hexdigest()


def _arrays(path: str) -> dict[str, np.ndarray]:
    """The parts of a file, by name; none is larger than the file."""
    with open_regular(path, LARGEST_FILE) as file, zipfile.ZipFile(file) as archive:
        check_parts(archive, path)
        if set(archive.namelist()) != set(PARTS):
            raise ValueError(f'its parts are not {", ".join(PARTS)}')
        return {name: _array(archive.read(name), name) for name in PARTS}


def _array(data: bytes, name: str) -> np.ndarray:
    stream = io.BytesIO(data)
    if np.lib.format.read_magic(stream) != (1, 0):
        raise ValueError(f'{name} has another version of the format')
    shape, by_columns, dtype = np.lib.format.read_array_header_1_0(stream)
    kind, dimensions = PARTS[name]
    if dtype.str != kind or len(shape) != dimensions or by_columns:
        raise ValueError(f'{name} is {dtype} of shape {shape}')
    found = np.frombuffer(data, kind, offset=stream.tell())
    if len(found) != int(np.prod(shape, dtype=object)):
        raise ValueError(f'{name} has {len(found)} values, its shape {shape} others')
    return found.reshape(shape).copy()  # writable, and without the header's bytes


def _about(data: bytes) -> About:
    try:
        about = About.model_validate(json.loads(data))
        check_values(about.identity, 0)
    except ValidationError as error:
        raise ValueError(f'about: {first_fault(error)}') from None
    except (UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f'about is no JSON ({error})') from None
    return about
