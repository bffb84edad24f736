"""What a report says, before it is laid out: plain values, as ``report.json`` has them.

Accuracies and intervals are in per cent, probabilities between 0 and 1.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict


class Said(BaseModel):
    """Base: nothing else, and no NaN, which JSON has not."""

    model_config = ConfigDict(extra='forbid', allow_inf_nan=False)


class Accuracy(Said):
    """One classifier's accuracy with its 95 % interval; ``note`` says why there is none."""

    name: str
    role: Literal['model', 'zero-shot', 'other']
    percent: float | None = None
    low: float | None = None
    high: float | None = None
    images: int | None = None
    measured_on: str = ''
    seconds: float | None = None
    note: str = ''


class Difference(Said):
    """Accuracy of ``of`` minus that of ``to`` on the same photos, in points."""

    of: str
    to: str
    points: float
    low: float
    high: float
    p: float
    images: int
    only_of: int  # photos that only this one gets right
    only_to: int


class ClassRow(Said):
    """One class on the test photos; None where a share has no photos to be a share of."""

    name: str
    images: int
    right: int
    precision: float | None
    recall: float | None
    recall_low: float | None
    recall_high: float | None
    zero_shot_recall: float | None = None
    training_images: int | None = None


class Confusion(Said):
    """So many photos of one class were taken for another."""

    truth: str
    answer: str
    images: int


class Answer(Said):
    """A class and its probability."""

    name: str
    probability: float


class Photo(Said):
    """A test photo with the likeliest classes, the first of which is the prediction."""

    image: str
    truth: str
    truth_probability: float
    right: bool
    answers: list[Answer]


class Bin(Said):
    """Photos whose prediction has about the same probability."""

    low: float
    high: float
    images: int
    confidence: float  # mean probability of the predictions
    accuracy: float  # share of them that is right


class Calibration(Said):
    """How far probabilities can be taken at their word."""

    ece: float
    confidence: float
    bins: list[Bin]
    temperature: float = 1.0
    ece_before: float | None = None  # at temperature 1
    source: str = ''


class Point(Said):
    """A point of the learning curve."""

    share: float
    images: int
    percent: float
    low: float | None
    high: float | None


class LearningCurve(Said):
    """Accuracy over the number of photos; without points, ``answer`` says why."""

    points: list[Point] = []
    answer: str
    classes: list[str] = []  # where more photos would help most


class Attention(Said):
    """Photos whose attention is drawn; ``reason``, where there are none."""

    images: list[str] = []
    reason: str = ''


class Fact(Said):
    """A line of a list: what, and its value."""

    name: str
    value: str


class Report(Said):
    """All of it, in the order of the page."""

    title: str
    made: str
    version: str
    summary: list[str]
    warnings: list[str]
    done: list[Fact]
    accuracies: list[Accuracy]
    differences: list[Difference]
    no_difference: str  # why there is none to zero-shot CLIP
    classes: list[ClassRow]
    matrix: list[list[int]] | None  # rows: labels, columns: predictions, in the order of classes
    confusions: list[Confusion]
    wrong_images: int
    wrong: list[Photo]
    unsure: list[Photo]
    photos_reason: str  # why there are no thumbnails; empty if there are
    calibration: Calibration
    attention: Attention
    learning: LearningCurve
    data: list[Fact]
    used_for: list[Fact]
    commands: list[str]
    versions: list[Fact]


class Run(Said):
    """One of the runs that are compared."""

    name: str
    folder: str
    accuracy: Accuracy


class Setting(Said):
    """A setting that differs, with its value in each run."""

    name: str
    values: list[str]


class Disagreement(Said):
    """A photo on which runs disagree, with each one's answer."""

    image: str
    truth: str
    answers: list[Answer]


class Comparison(Said):
    """Runs side by side; the differences are those of the others to the first."""

    title: str
    made: str
    version: str
    runs: list[Run]
    images: str  # which photos are compared
    summary: list[str]
    settings: list[Setting]
    settings_left_out: int
    differences: list[Difference]
    disagreements: list[Disagreement]
    disagreeing: int
    photos_reason: str
