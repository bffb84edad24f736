"""What a file of results may say."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

Text = Annotated[str, Field(max_length=1000)]
Name = Annotated[str, Field(max_length=200)]
Count = Annotated[int, Field(ge=0, le=2**63)]
Figure = Annotated[float, Field(allow_inf_nan=False)]
Percent = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]
Sha256 = Annotated[str, Field(pattern=r'^[0-9a-f]{64}$')]


class Part(BaseModel):
    """Strict: nothing is converted. A checksum stands for what this version does not know."""

    model_config = ConfigDict(strict=True, extra='ignore')


class Clip(Part):
    """CLIP's weights."""

    arch: Text | None = None
    fingerprint: Text | None = None


class Commit(Part):
    """A checkout."""

    commit: Text = ''
    dirty: bool | None = None


class Selected(Part):
    """The epoch that was best on validation images."""

    epoch: Count
    val_accuracy: Percent


class Unlabelled(Part):
    """What a training without labels used."""

    images: Count
    source: Text
    views: Count | None = None


class Conditions(Part):
    """Those that differ from the benchmark's."""

    name: Name


class Choice(Part):
    """The images that something was learnt from, chosen or calibrated on."""

    split: Name


class UsedFor(Part):
    """Which data each step of a training looked at; None: there was no such step."""

    training: Choice | None = None
    selection: Choice | None = None
    calibration: Choice | None = None

    @property
    def on_test(self) -> bool:
        """Whether one of them looked at test images."""
        steps = (self.training, self.selection, self.calibration)
        return any(step is not None and step.split == 'test' for step in steps)


class Described(Part):
    """Which training it was."""

    config: Text | None = None
    method: Text | None = None
    selected: Selected | None = None
    benchmark: Text | None = None
    subset: Text | None = None
    shots: Count | None
    seed: Count | None
    draw_hash: Text | None = None
    clip: Clip | None = None
    unlabelled_images: Unlabelled | None = None
    data_protocol: Conditions | None = None
    used_for: UsedFor | None = None
    versions: Annotated[dict[Name, Text], Field(max_length=20)] = {}
    commit: Commit | None = None
    finished: Text | None = None
    files: Annotated[dict[Name, Sha256], Field(max_length=200)] = {}


class Top1(Part):
    """Of all figures the one that is tabulated."""

    top1: Percent = Field(alias='accuracy/top1')


class Learnt(Part):
    """The file of what was learnt."""

    path: Annotated[str, Field(max_length=5000)] | None = None
    sha256: Sha256 | None = None


class Training(Described):
    """``results.json``."""

    few_shot: Top1
    zero_shot: Top1 | None = None
    checkpoint: Learnt | None = None
    baselines: Annotated[dict[Name, Percent], Field(max_length=20)] | None = None
    epochs: Count | None = None
    train_seconds: Annotated[Figure, Field(ge=0)] | None = None
    train_cpu_seconds: Annotated[Figure, Field(ge=0)] | None = None
    peak_memory_mib: Annotated[Figure, Field(ge=0)] | None = None
    described: bool | None = None
    templates: Text | Annotated[list[Text], Field(max_length=10000)] | None = None


class Evaluation(Described):
    """``results.json`` of a sweep's evaluation."""

    evaluation_only: Literal[True]
    zero_shot: Top1
    few_shot: None = None


class Protocol(Described):
    """``protocol_*.json``."""

    protocol: Name
    accuracy: Annotated[dict[Name, Percent], Field(min_length=1, max_length=100)]


def check(results: dict) -> None:
    """Refuse results that this program does not write.

    Raises:
        ValueError: Says what is wrong, and where, in words that follow the file's name.
    """
    kind: type[Described] = Protocol if 'protocol' in results else Training
    if results.get('evaluation_only'):
        kind = Evaluation
    try:
        kind.model_validate(results)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = '.'.join(str(part)[:50] for part in first['loc'])
        name = 'an accuracy' if 'accuracy' in place else place
        found = 'missing' if first['type'] == 'missing' else repr(first['input'])[:50]
        raise ValueError(f'{name} is {found} ({place}: {first["msg"].lower()})') from None


def says_what_it_is(results: dict | None) -> bool:
    """Whether results that are not believed name a training in the usual form."""
    try:
        Described.model_validate(results)
    except ValidationError:
        return False
    return True
