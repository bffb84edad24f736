"""Checks of numbers that users give."""

from numbers import Integral
from typing import Any


def check_count(name: str, value: int, low: int, high: int, why: str) -> None:
    """Raise ValueError unless a count is a whole number in its range."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ValueError(
            f'{name} must be a whole number from {low} to {high} ({why}), but is {value!r}.'
        )


def check_weight(name: str, value: float) -> None:
    """Raise ValueError unless a weight is a number of at least 0."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value >= 0:
        raise ValueError(f'{name} must be a number of at least 0, but is {value!r}.')


def check_weights(name: str, values: Any) -> None:
    """Raise ValueError unless values are a list of weights, one at least."""
    if not isinstance(values, (list, tuple)) or not values:
        raise ValueError(f'{name} must be a list such as [0.1, 1.0], but is {values!r}.')
    for value in values:
        check_weight(name, value)


def check_least(name: str, value: Any, least: int) -> None:
    """Raise unless a value, perhaps NumPy's, is a whole number of at least ``least``.

    Raises:
        TypeError: If it is not a whole number.
        ValueError: If it is too small.
    """
    if not isinstance(value, Integral) or isinstance(value, bool):
        raise TypeError(f'{name} must be a whole number, got {value!r} ({type(value).__name__}).')
    if value < least:
        raise ValueError(f'{name} must be at least {least}, got {value}.')
