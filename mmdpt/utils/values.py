"""Types of the values that may come from a file, for schemas and for constructors.

As hints of a part's constructor they say what a checkpoint may ask of it. A plain ``int``
there is a :data:`Count`, ``float`` a :data:`Number` and ``str`` :data:`Words`.
"""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

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
