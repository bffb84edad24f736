"""What a checkpoint says beside its tensors, as far as it is read."""

from typing import Annotated, Any, TypeVar

from pydantic import ConfigDict, Field, ValidationError

from mmdpt.evaluation.calibration import Calibration
from mmdpt.utils.values import Closed, first_fault

Step = Annotated[int, Field(ge=0, le=10**9)]
Label = Annotated[str, Field(max_length=1000)]
Classes = Annotated[list[Label] | tuple[Label, ...], Field(max_length=50_000)]
Steps = Annotated[list[Step], Field(max_length=10_000)]
Read = TypeVar('Read', bound='Known')


class Known(Closed):
    """Base of what other hooks may add to; their keys are not read here."""

    model_config = ConfigDict(extra='ignore')


class Weights(Known):
    """Which frozen weights the tensors belong to."""

    arch: Label | None = None
    pretrained: Annotated[str, Field(max_length=4096)] | None = None
    fingerprint: Label


class Identity(Known):
    """What a model's tensors belong to."""

    classes: Classes
    clip: Weights | None = None


class OfModule(Known):
    """What a state dict says of one module, beside its tensors."""

    version: Step | None = None
    mmdpt: Identity | Weights | None = None


class Entry(Known):
    """``meta['mmdpt']``."""

    classes: Classes | None = None
    clip: Weights | None = None
    version: Label | None = None
    draw_hash: Label | None = None
    calibration: Calibration | None = None
    recipe: Any = None  # has a schema of its own
    settings: Any = None  # these three are checked where they are compared
    settings_hash: Any = None
    resumed_with_changes: Any = None


class DatasetMeta(Known):
    """MMEngine's note of the training images."""

    classes: Classes | None = None


class Meta(Known):
    """``meta``."""

    epoch: Step | None = None
    iter: Step | None = None
    seed: Annotated[int, Field(ge=0, lt=2**32)] | None = None
    dataset_meta: DatasetMeta | None = None


class RuntimeInfo(Known):
    """What MMEngine's message hub carries over to a resumed training."""

    epoch: Step = 0
    iter: Step = 0
    max_epochs: Step | None = None
    max_iters: Step | None = None
    train_seconds: Annotated[float, Field(ge=0)] = 0.0
    train_cpu_seconds: Annotated[float, Field(ge=0)] = 0.0
    keep_ckpt_ids: Steps = []
    between_ckpt_ids: Steps = []


class Hub(Known):
    """MMEngine's message hub."""

    log_scalars: dict[str, Any] = {}
    runtime_info: dict[str, Any]
    resumed_keys: dict[str, bool] = {}


class Optimizer(Known):
    """What torch keeps of one."""

    model_config = ConfigDict(extra='allow')

    state: dict[Any, dict[Any, Any]]
    param_groups: list[dict[str, Any]]


class Resumable(Known):
    """A checkpoint that a training goes on from."""

    message_hub: Hub
    optimizer: Optimizer | dict[str, Optimizer]
    param_schedulers: list[dict[str, Any]] | dict[str, list[dict[str, Any]]] | None = None


def read_as(schema: type[Read], value: Any, name: str) -> Read:
    """Return what the schema knows of a value.

    Raises:
        ValueError: Names the first place that does not fit.
    """
    try:
        return schema.model_validate(value)
    except ValidationError as error:
        raise ValueError(f'{name} is not what training writes ({first_fault(error)})') from None


def check_metadata(metadata: Any) -> None:
    """Raise ValueError unless a state dict's ``_metadata`` says what training writes."""
    if not isinstance(metadata, dict):
        raise ValueError('_metadata of the state dict is no dict')
    for module, entry in metadata.items():
        read_as(OfModule, entry, f'_metadata of {str(module)[:50]!r}')
