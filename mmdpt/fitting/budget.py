"""What fits into the time that is left: predictions, from the first fold and the first steps."""

import time
from dataclasses import dataclass, field

AT_END = 5.0  # seconds for the report


class OutOfTime(Exception):
    """A training would take longer than it may.

    Args:
        seconds (float): How long, as far as one can tell.
    """

    def __init__(self, seconds: float):
        super().__init__(f'would take {spell(seconds)}')
        self.seconds = seconds


@dataclass
class Budget:
    """Seconds, from the start of the command.

    Attributes:
        seconds: All.
        start: What the clock showed at the start.
        at_end: Kept for what comes after the trainings.
        refit: Kept for the final training of the costliest method so far.
    """

    seconds: float
    start: float = field(default_factory=time.monotonic)
    at_end: float = AT_END
    refit: float = 0.0

    def spent(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.start

    def left(self) -> float:
        """Seconds for trainings; below 0 if there are none."""
        return self.seconds - self.spent() - self.at_end


def growth(folds: int) -> float:
    """How much longer a training on all photos takes than one on all folds but one."""
    return folds / (folds - 1) if folds > 1 else 1.0


def needed(first: float, folds: int, settings: int = 1, refit: float = 0.0) -> float:
    """Seconds for the other folds and settings and the final training, after the first fold.

    Args:
        first (float): Seconds of the first fold.
        folds (int): Folds, the first one included.
        settings (int): Settings that are tried on each.
        refit (float): Seconds of the final training of a method before.
    """
    return first * (folds * settings - 1) + max(first * growth(folds), refit)


def longest(left: float, folds: int, settings: int = 1, refit: float = 0.0) -> float:
    """The most seconds that the first fold may take, so that all fits into what is left."""
    trainings = folds * settings
    return max(0.0, min(left / (trainings + growth(folds)), (left - refit) / trainings))


def predicted(elapsed: float, done: int, total: int) -> float:
    """Seconds of all steps, of those that are done."""
    return elapsed * total / done


def affordable(per_image: float, images: int, left: float, part: float = 0.5) -> int:
    """How many images may be encoded, so that this takes a part of what is left.

    Args:
        per_image (float): Seconds.
        images (int): How many there are.
        left (float): Seconds.
        part (float): Of them.
    """
    return min(images, int(part * max(left, 0.0) / max(per_image, 1e-9)))


def spell(seconds: float) -> str:
    """Such as '40 s', '5 min', '3.2 h'."""
    if seconds < 100:
        return f'{seconds:.0f} s'
    return f'{seconds / 60:.0f} min' if seconds < 6000 else f'{seconds / 3600:.1f} h'
