"""Checks of numbers that users give."""


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
