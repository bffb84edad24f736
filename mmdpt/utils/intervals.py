"""Confidence intervals of means over seeds (Student's t)."""

import math

LEVEL = 0.95
MOST = 100_000  # seeds


def half_width(deviation: float, n: int, level: float = LEVEL) -> float:
    """Half the width of the interval of a mean: t s / sqrt(n).

    Args:
        deviation (float): Sample standard deviation (divisor n - 1).
        n (int): Number of values, at least two.
        level (float): The share of such intervals that hold the true mean, if
            the values are normally distributed and independent.
    """
    from scipy.special import stdtrit

    return float(stdtrit(n - 1, (1 + level) / 2)) * deviation / math.sqrt(n)


def check_width(wanted: float) -> None:
    """Raise ValueError unless half a width is a number above 0."""
    if not wanted > 0 or not math.isfinite(wanted):
        raise ValueError(f'the half width of an interval must be a number above 0, got {wanted}')


def values_needed(deviation: float, wanted: float, level: float = LEVEL) -> int:
    """The fewest values whose interval is as narrow as wanted, if they deviate like the pilot's.

    Args:
        deviation (float): Sample standard deviation of a pilot.
        wanted (float): The half width.
        level (float): See :func:`half_width`.

    Raises:
        ValueError: If the width is not a number above 0, or more than 100 000
            values would be needed.
    """
    check_width(wanted)
    low, high = 1, 2  # too few, enough: the width falls with n
    while half_width(deviation, high, level) > wanted:
        if high > MOST:
            raise ValueError(
                f'a deviation of {deviation:.3g} needs more than {MOST} seeds for an interval of '
                f'{wanted:g} to each side: choose a wider one'
            )
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        if half_width(deviation, middle, level) > wanted:
            low = middle
        else:
            high = middle
    return high
