"""How sure a figure is, and whether two methods differ: intervals and tests.

The interval of a mean over seeds is in :mod:`mmdpt.utils.intervals`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mmdpt.utils.intervals import LEVEL

from .random_effects import random_effects

DRAWS = 10_000
AT_ONCE = 256  # draws


def wilson(correct: int, n: int, level: float = LEVEL) -> tuple[float, float]:
    """Interval of an accuracy, as shares from 0 to 1.

    `Probable inference, the law of succession, and statistical inference
    <https://doi.org/10.1080/01621459.1927.10502953>`_.

    Args:
        correct (int): Images that were right.
        n (int): Images.
        level (float): The share of such intervals that hold the true accuracy.

    Raises:
        ValueError: If there is no image, or more are right than there are.
    """
    from scipy.stats import binomtest

    if not 0 <= correct <= n or n < 1:
        raise ValueError(f'{correct} of {n} images cannot be right')
    low, high = binomtest(int(correct), int(n)).proportion_ci(level, 'wilson')
    return float(low), float(high)


def wilson_percent(accuracy: float, n: int) -> tuple[float, float]:
    """:func:`wilson` in per cent, of an accuracy in per cent on n images."""
    low, high = wilson(round(accuracy * n / 100), n)
    return 100 * low, 100 * high


@dataclass(frozen=True)
class Difference:
    """Accuracy of one method less that of another, as shares.

    Attributes:
        mean: Over images and seeds.
        low, high: Its interval.
        p: Of the hypothesis that there is none, two-sided.
    """

    mean: float
    low: float
    high: float
    p: float


def paired_bootstrap(
    a_correct: ArrayLike,
    b_correct: ArrayLike,
    draws: int = DRAWS,
    level: float = LEVEL,
    seed: int = 0,
) -> Difference:
    """Compare two methods on the same images, with the same seeds.

    Images and, of several, seeds are drawn with replacement, the same for both methods: the
    `pigeonhole bootstrap <https://doi.org/10.1214/07-AOAS122>`_, which is conservative where the
    outcome depends on the pair of image and seed alone. The p-value is that of differences
    around 0 (`An Introduction to the Bootstrap <https://doi.org/10.1201/9780429246593>`_,
    chapter 16). Of few seeds that differ much a bootstrap is too sure: p and interval are those
    of :func:`random_effects`, where these say less. Of one seed, the result says nothing about
    other draws of training images.

    Args:
        a_correct, b_correct (ArrayLike): Whether each image was right, (N,), or (S, N) of S
            seeds.
        draws (int): The least p is 1 / (draws + 1).
        level (float): Of the interval.
        seed (int): Of the draws; the same one, the same result.

    Raises:
        ValueError: If the images or seeds are not the same.
    """
    a, b = (np.atleast_2d(np.asarray(part, np.int8)) for part in (a_correct, b_correct))
    if a.shape != b.shape or not a.size:
        raise ValueError(
            f'{a.shape} and {b.shape} (seeds, images) cannot be paired: give the same images '
            'and seeds'
        )
    mean = float((a - b).mean())
    found = resampled(np.stack([a, b]), draws, seed) @ [1.0, -1.0]
    low, high = np.quantile(found, [(1 - level) / 2, (1 + level) / 2])
    p, half = random_effects(a - b, level)
    return Difference(
        mean,
        float(min(low, mean - half)),
        float(max(high, mean + half)),
        max(bootstrap_p(mean, found), p),
    )


def resampled(correct: NDArray[Any], draws: int = DRAWS, seed: int = 0) -> NDArray[np.float64]:
    """Accuracies of several methods in the draws of :func:`paired_bootstrap`, up to what is the
    same for all of them.

    Args:
        correct (NDArray): (M, S, N) of M methods, S seeds and N images.
        draws (int): D.
        seed (int): Of the draws.

    Returns:
        NDArray: (D, M); only differences between the methods mean something.
    """
    methods, seeds, images = correct.shape
    flat = correct.reshape(-1, images).astype(np.float32)
    flat = flat[:, flat.min(axis=0) != flat.max(axis=0)].T  # (I, M S): all others cancel
    rng, found = np.random.default_rng(seed), np.zeros((draws, methods))
    if not len(flat):
        return found
    for start in range(0, draws, AT_ONCE):
        rows = min(AT_ONCE, draws - start)
        hits = rng.binomial(images, len(flat) / images, rows)
        cells = np.repeat(np.arange(rows) * len(flat), hits)
        cells += rng.integers(0, len(flat), hits.sum())
        counts = np.bincount(cells, minlength=rows * len(flat)).reshape(rows, -1)
        sums = (counts.astype(np.float32) @ flat).reshape(rows, methods, seeds)
        weights = rng.multinomial(seeds, [1 / seeds] * seeds, rows) / seeds
        found[start : start + rows] = np.einsum('dms,ds->dm', sums, weights) / images
    return found


def bootstrap_p(mean: float, found: NDArray[np.float64]) -> float:
    """Two-sided p-value of a difference, from those of the draws, (D,)."""
    beyond = int((np.abs(found - mean) >= abs(mean) - 1e-9).sum())
    return (1 + beyond) / (1 + len(found))


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values that hold for all comparisons together, in their order.

    `A Simple Sequentially Rejective Multiple Test Procedure
    <https://www.jstor.org/stable/4615733>`_.
    """
    values = np.asarray(p_values, np.float64)
    order = np.argsort(values, kind='stable')
    factors = np.arange(len(values), 0, -1)
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(np.maximum.accumulate(values[order] * factors), 1.0)
    return adjusted.tolist()


def letters(different: NDArray[np.bool_]) -> list[str]:
    """Letters of methods: two that share one are not distinguishable, all others are.

    Insert and absorb, of `An Algorithm for a Letter-Based Representation of All-Pairwise
    Comparisons <https://doi.org/10.1198/1061860043515>`_.

    Args:
        different (NDArray): (M, M), symmetric: whether two methods differ; the best method first.

    Returns:
        list[str]: Such as ``['a', 'ab', 'b']``.
    """
    count = len(different)
    columns = [set(range(count))]
    for i in range(count):
        for j in range(i + 1, count):
            if different[i, j]:
                split = [(c - {i}, c - {j}) if {i, j} <= c else (c,) for c in columns]
                columns = _absorb([part for parts in split for part in parts])
    columns.sort(key=lambda column: sorted(column))
    return [''.join(_letter(k) for k, c in enumerate(columns) if i in c) for i in range(count)]


def _absorb(columns: list[set[int]]) -> list[set[int]]:
    """Without those that are within others."""
    kept: list[set[int]] = []
    for column in sorted(columns, key=len, reverse=True):
        if not any(column <= other for other in kept):
            kept.append(column)
    return kept


def _letter(number: int) -> str:
    """a, b, ..., z, A, ..., Z, and then with a prime for each round."""
    alphabet = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ'
    return alphabet[number % len(alphabet)] + "'" * (number // len(alphabet))
