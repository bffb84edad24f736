"""Comparisons over seeds and images, both of which are samples."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mmdpt.utils.intervals import LEVEL


class Prior(NamedTuple):
    """What comparisons of other methods say of how far seeds deviate.

    Attributes:
        freedom (float): So many degrees of freedom it is worth.
        square (float): Mean square of the seeds.
    """

    freedom: float = 0.0
    square: float = 0.0


def mean_squares(difference: NDArray[np.float64]) -> tuple[float, float]:
    """Of differences (S, N): of the seeds, at least what is left of both; and what the images
    add."""
    of_seeds, of_images = difference.mean(axis=1), difference.mean(axis=0)
    rest = difference - of_seeds[:, None] - of_images + difference.mean()
    seeds, images = difference.shape
    from_both = float((rest**2).sum()) / ((seeds - 1) * (images - 1))
    from_images = seeds * float(of_images.var(ddof=1))
    return max(images * float(of_seeds.var(ddof=1)), from_both), max(from_images - from_both, 0.0)


def prior_of(squares: Sequence[float], freedom: int, most: float) -> Prior:
    """The prior for `moderated t-tests <https://doi.org/10.2202/1544-6115.1027>`_ (section 6.2).

    Args:
        squares (Sequence[float]): Those of the seeds of each comparison; see :func:`mean_squares`.
        freedom (int): Degrees of freedom of each.
        most (float): Of the prior at most.
    """
    from scipy.optimize import brentq
    from scipy.special import digamma, polygamma

    logs = np.log([value for value in squares if value > 0])
    if len(logs) < 2:
        return Prior()
    logs = logs - digamma(freedom / 2) + np.log(freedom / 2)
    more = logs.var(ddof=1) - polygamma(1, freedom / 2)  # than chance explains

    def unlike(d: float) -> float:
        return polygamma(1, d / 2) - more

    worth = most if unlike(most) >= 0 else brentq(unlike, 1e-6, most)
    return Prior(worth, float(np.exp(logs.mean() + digamma(worth / 2) - np.log(worth / 2))))


def random_effects(
    difference: ArrayLike, level: float = LEVEL, prior: Prior = Prior()
) -> tuple[float, float]:
    """Student's t of a mean over seeds and images, both of which are samples.

    Variances are those of a two-way analysis, the degrees of freedom `Hillis's
    <https://doi.org/10.1002/sim.2532>`_: seeds - 1 where only the seeds matter, and without end
    where only the images do.

    Args:
        difference (ArrayLike): (S, N) of S seeds and N images.
        level (float): Of the interval.
        prior (Prior): Of the seeds; see :func:`prior_of`. By default there is none.

    Returns:
        tuple[float, float]: Two-sided p of the mean, and half of its interval; both 0 with one
        seed or one image, of which nothing is known.
    """
    from scipy.special import stdtr, stdtrit

    d = np.asarray(difference, np.float64)
    seeds, images = d.shape
    if min(d.shape) < 2:
        return 0.0, 0.0
    (own, from_images), freedom = mean_squares(d), prior.freedom + seeds - 1
    from_seeds = (prior.freedom * prior.square + (seeds - 1) * own) / freedom
    total = from_seeds + from_images
    if total <= 0:
        return float(d.mean() == 0), 0.0
    freedom *= (total / max(from_seeds, 1e-6 * total)) ** 2
    error = np.sqrt(total / d.size)
    p = 2 * stdtr(freedom, -abs(d.mean()) / error)
    return float(p), float(stdtrit(freedom, (1 + level) / 2) * error)
