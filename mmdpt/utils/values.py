"""Types of the values that may come from a file, for schemas and for constructors.

As hints of a part's constructor they say what a checkpoint may ask of it. A plain ``int``
there is a :data:`Count`, ``float`` a :data:`Number` and ``str`` :data:`Words`.
"""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

Count = Annotated[int, Field(ge=0, le=10_000)]
Size = Annotated[int, Field(ge=1, le=4096)]
Many = Annotated[int, Field(ge=1, le=1_000_000)]  # images
Number = Annotated[float, Field(ge=-1e6, le=1e6)]
Share = Annotated[float, Field(ge=0, le=1)]
Words = Annotated[str, Field(max_length=1000)]
Names = Annotated[list[Words], Field(max_length=50)]
NumClasses = Annotated[int, Field(ge=1, le=50_000)]
OwnPath = Annotated[str, Field(max_length=0)]  # of one's own config: a checkpoint names no file


class Closed(BaseModel):
    """Base of what is read from a file: no other keys, no conversion, no NaN."""

    model_config = ConfigDict(strict=True, extra='forbid', allow_inf_nan=False)


def first_fault(error: ValidationError) -> str:
    """Where a value does not fit its schema and why, in one line."""
    fault = error.errors(include_url=False, include_context=True)[0]
    place = '.'.join(str(step)[:50] for step in fault['loc']) or 'it'
    if fault['type'] == 'union_tag_invalid':
        name = fault['ctx']['tag'][:80]
        return f'{place}: {name!r} is not one of the parts that a checkpoint may name'
    if fault['type'] == 'extra_forbidden':
        return f'{place} is none of the settings that a checkpoint may have'
    return f'{place}: {fault["msg"]}'
