"""What a checkpoint may ask of a part: the options of its constructor, typed and bounded.

The schema of a prompt, a tuning or a head is made from the type hints of its constructor, but
for ``about`` and ``init_cfg``. So a new part needs no entry here.
"""

import inspect
from collections.abc import Sequence
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from mmpretrain.registry import MODELS
from pydantic import Field, create_model

from mmdpt.models.heads.base import SimilarityHead
from mmdpt.models.part import Part
from mmdpt.utils.values import Closed, Count, Number, NumClasses, Share, Size, Words

OURS = 'mmdpt.models.'
GIVEN = {'self', 'about', 'init_cfg'}
BOUNDED = {int: Count, float: Number, str: Words, bool: bool, NoneType: NoneType}
PerClass = Annotated[list[Number], Field(max_length=50_000)]


class CrossEntropyLoss(Closed):
    type: Literal['CrossEntropyLoss']
    use_sigmoid: bool = False
    use_soft: bool = False
    reduction: Literal['none', 'mean', 'sum'] = 'mean'
    loss_weight: Number = 1.0
    class_weight: PerClass | None = None
    pos_weight: PerClass | None = None


class LabelSmoothLoss(Closed):
    type: Literal['LabelSmoothLoss']
    label_smooth_val: Share
    num_classes: NumClasses | None = None
    use_sigmoid: bool | None = None
    mode: Literal['original', 'classy_vision', 'multi_label'] = 'original'
    reduction: Literal['none', 'mean', 'sum'] = 'mean'
    loss_weight: Number = 1.0
    class_weight: PerClass | None = None
    pos_weight: PerClass | None = None


class FocalLoss(Closed):
    type: Literal['FocalLoss']
    gamma: Number = 2.0
    alpha: Number = 0.25
    reduction: Literal['none', 'mean', 'sum'] = 'mean'
    loss_weight: Number = 1.0


class OfEveryHead(Closed):
    """Options of MMPretrain's ``ClsHead``."""

    loss: Annotated[CrossEntropyLoss | LabelSmoothLoss | FocalLoss, Field(discriminator='type')] = (
        CrossEntropyLoss(type='CrossEntropyLoss')
    )
    topk: Size | Annotated[list[Size], Field(min_length=1, max_length=20)] = [1]
    cal_acc: bool = False


def bounded(hint: Any) -> Any:
    """A constructor's hint as a type of plain, bounded values.

    Raises:
        TypeError: If no value of a file can be of that type.
    """
    if hint in BOUNDED:
        return BOUNDED[hint]
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Annotated, Literal):
        return hint
    if origin in (Union, UnionType):
        return Union[tuple(bounded(kind) for kind in inner)]  # noqa: UP007
    if origin in (Sequence, list):
        return Annotated[list[bounded(inner[0])], Field(max_length=128)]  # type: ignore[misc]
    if origin is dict:
        key, value = map(bounded, inner)
        return Annotated[dict[key, value], Field(max_length=128)]  # type: ignore[valid-type]
    raise TypeError(f'{hint} is not a type that a config file can give')


def schema_of(part: type[Part]) -> type[Closed]:
    """The schema of a part's config.

    Args:
        part (type): A prompt, a tuning or a head.

    Raises:
        TypeError: If a hint is missing, or not of a plain type.
    """
    fields: dict[str, Any] = dict(type=(Literal[part.__name__], ...))
    for kind in part.__mro__:
        constructor = vars(kind).get('__init__')
        if constructor is None:
            continue
        hints = get_type_hints(constructor, include_extras=True)
        options = inspect.signature(constructor).parameters
        for name, option in options.items():
            if name in GIVEN | set(fields) or option.kind is option.VAR_KEYWORD:
                continue
            try:
                hint = bounded(hints[name])
            except (KeyError, TypeError) as error:
                raise TypeError(f'{kind.__name__}({name}): no usable type hint: {error}') from None
            fields[name] = (hint, ... if option.default is option.empty else option.default)
        hands_on = any(option.kind is option.VAR_KEYWORD for option in options.values())
        if not hands_on or kind is SimilarityHead:  # which hands on to MMPretrain's
            break
    base = OfEveryHead if issubclass(part, SimilarityHead) else Closed
    return create_model(part.__name__, __base__=base, **fields)


class AnyOf:
    """One of the package's parts, as an annotation of a schema's field.

    Args:
        base (type): What the part is: a text prompt, a head, ...
    """

    def __init__(self, base: type[Part]):
        self.base = base

    def schemas(self) -> dict[str, type[Closed]]:
        """Schemas by the parts' names."""
        return {
            name: schema_of(kind)
            for name, kind in sorted(MODELS.module_dict.items())
            if inspect.isclass(kind)
            and issubclass(kind, self.base)
            and kind.__module__.startswith(OURS)
        }

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        kinds = tuple(self.schemas().values())
        if len(kinds) == 1:
            return handler.generate_schema(kinds[0])
        return handler.generate_schema(Annotated[Union[kinds], Field(discriminator='type')])  # noqa: UP007
