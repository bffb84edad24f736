"""What ``fit.json`` says: the data, the methods compared, the choice, the test.

All accuracies are in per cent, all intervals 95 % (Wilson, over images).
"""

from __future__ import annotations

import json
import os.path as osp
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, ValidationError

from mmdpt.utils.files import read_regular
from mmdpt.utils.values import first_fault

from .schema import Clip, Commit, Count, Figure, Name, Part, Percent, Text

if TYPE_CHECKING:
    from pandas import DataFrame

FILE = 'fit.json'
MAX_BYTES = 2**26
Seconds = Annotated[Figure, Field(ge=0)]


class Share(Part):
    """Right answers among images, with the interval of the accuracy."""

    images: Count
    accuracy: Percent
    low: Percent
    high: Percent


class ClassCount(Part):
    """Photos of a class."""

    name: Name
    train: Count
    test: Count


class Data(Part):
    """The photos.

    Attributes:
        source: What was given.
        held_out: Where the test part comes from: 'given' (a part of the data of its own), 'drawn'
            (a share of each class), 'none' (too few photos).
        folds: Of the cross-validation on the training part; 0: none.
        warnings: What :mod:`mmdpt.datasets.doctor` and the draw found, in sentences.
    """

    source: Text
    classes: Annotated[list[ClassCount], Field(max_length=100_000)]
    held_out: Literal['given', 'drawn', 'none']
    folds: Count
    warnings: Annotated[list[Text], Field(max_length=1000)] = []

    def counts(self) -> tuple[int, int]:
        """Images for training and for the test."""
        return sum(c.train for c in self.classes), sum(c.test for c in self.classes)


class Tried(Part):
    """A method in the cross-validation.

    Attributes:
        settings: Those that the cross-validation chose.
        folds: Accuracy in each fold.
        result: Over the images of all folds; None if the method was left out.
        repeats: Cross-validations, each with other folds; ``result`` is of all of them.
        left_out: The reason, if it was.
    """

    name: Name
    title: Name
    settings: Annotated[dict[Name, Any], Field(max_length=20)] = {}
    folds: Annotated[list[Percent], Field(max_length=100)] = []
    result: Share | None = None
    repeats: Annotated[int, Field(ge=1, le=100)] = 1
    seconds: Seconds = 0.0
    left_out: Text | None = None


class Chosen(Part):
    """The method that the final model is made by."""

    name: Name
    title: Name
    settings: Annotated[dict[Name, Any], Field(max_length=20)] = {}
    why: Text


class Tested(Part):
    """The final model and zero-shot CLIP, once, on the held-out photos.

    Attributes:
        difference: Accuracy minus that of zero-shot CLIP, in points.
        warning: Where the model does not beat zero-shot CLIP.
    """

    model: Share
    zero_shot: Share
    difference: Figure
    warning: Text | None = None


class Point(Share):
    """A point of the learning curve; the images are those of all folds."""

    share: Percent  # of the training photos
    train_images: Count  # per training, on average


class Curve(Part):
    """Accuracy by number of training photos, cross-validated."""

    method: Name
    title: Name
    points: Annotated[list[Point], Field(max_length=20)] = []
    left_out: Text | None = None  # why there is none


class Budget(Part):
    """Time that was given and taken."""

    minutes: Seconds
    seconds: Seconds


class Fit(Part):
    """``fit.json``, and what :func:`mmdpt.fit` returns.

    Attributes:
        folder: Where the files are; not in the file.
    """

    form: Literal[1] = 1
    command: Text
    data: Data
    clip: Clip
    templates: Annotated[list[Text], Field(max_length=10_000)]
    seed: Count
    shots: Count | None = None
    methods: Annotated[list[Tried], Field(max_length=100)]
    chosen: Chosen
    test: Tested | None = None
    curve: Curve | None = None
    notes: Annotated[list[Text], Field(max_length=100)] = []  # what was done otherwise, and why
    budget: Budget
    versions: Annotated[dict[Name, Text], Field(max_length=20)] = {}
    commit: Commit | None = None
    finished: Text | None = None
    folder: Annotated[str, Field(exclude=True)] = ''

    def frame(self) -> DataFrame:
        """The methods as a table, those left out with their reason."""
        import pandas as pd

        rows = [
            dict(
                method=tried.name,
                title=tried.title,
                accuracy=tried.result and tried.result.accuracy,
                low=tried.result and tried.result.low,
                high=tried.result and tried.result.high,
                images=tried.result and tried.result.images,
                seconds=tried.seconds,
                chosen=tried.name == self.chosen.name,
                left_out=tried.left_out,
            )
            for tried in self.methods
        ]
        return pd.DataFrame(rows).set_index('method')


def read_fit(path: str) -> Fit:
    """Read ``fit.json``.

    Raises:
        OSError: If there is no such file.
        ValueError: If it is none that ``mmdpt fit`` writes.
    """
    try:
        content = json.loads(read_regular(path, MAX_BYTES))
        return Fit.model_validate(dict(content, folder=osp.dirname(osp.abspath(path))))
    except ValidationError as error:
        raise ValueError(f'{path!r} is no fit.json of mmdpt ({first_fault(error)}).') from None
    except (ValueError, TypeError, RecursionError) as error:
        raise ValueError(f'{path!r} is no fit.json of mmdpt ({str(error)[:200]}).') from None
