"""What all parts of a suite are told, and what a part is."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from .models import TINY, for_three_blocks, method_config

METHODS = ('dpt', 'coop', 'mmrl', 'twosfs')  # one each of prompts, text, both towers, LayerNorms


@dataclass(frozen=True)
class Setting:
    """What all parts of a suite are told.

    Attributes:
        device: 'cpu', 'cuda', 'cuda:1'.
        small: The built-in CLIP's architecture, one shape, one round.
        arch: open_clip's name, unless ``small``.
        golden: Folder of reference numbers, if there is one.
        repeat: Measured rounds, of which medians are given.
        threads: Of torch; None: as torch has it.
        deadline: ``time.monotonic()`` at which a part begins nothing new.
    """

    device: str
    small: bool = False
    arch: str = TINY
    golden: str | None = None
    repeat: int = 3
    threads: int | None = None
    deadline: float = float('inf')

    @property
    def cuda(self) -> bool:
        return self.device.startswith('cuda')

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods that are tried."""
        return METHODS[:2] if self.small else METHODS

    @property
    def tower(self) -> str:
        """open_clip's name of the CLIP that is measured."""
        return TINY if self.small else self.arch

    def method(self, name: str) -> dict:
        """``model`` of a method, for this CLIP."""
        return for_three_blocks(name) if self.tower == TINY else method_config(name)

    @property
    def late(self) -> bool:
        """Whether the part's time is spent."""
        return time.monotonic() > self.deadline


class Part(NamedTuple):
    """One part of a suite.

    Attributes:
        run: Gives rows, plain Python. A row with ``passed`` False or with an ``error`` makes the
            part a failed one; one with ``not_run`` says why something was left out.
        seconds: After which it begins nothing new.
        only_cuda: Whether it has no form for the CPU.
        covered: The part that stands for it in the small form, if one does.
    """

    run: Callable[[Setting], Iterator[dict]]
    seconds: float = 60.0
    only_cuda: bool = False
    covered: str = ''


def each(cells: list[dict], measure: Callable[..., dict], setting: Setting) -> Iterator[dict]:
    """A row per cell; one that fails, or has no time left, stands there by name.

    Args:
        cells (list[dict]): What tells the rows apart, the arguments of ``measure``.
        measure (Callable): Gives what was found.
        setting (Setting): Has the deadline.
    """
    for cell in cells:
        if setting.late:
            yield dict(cell, not_run="the part's time was spent")
            continue
        try:
            yield dict(cell, **measure(**cell))
        except Exception as error:  # out of memory, a compiler's fault: the next may do
            yield dict(cell, error=f'{type(error).__name__}: {str(error)[:500]}')
