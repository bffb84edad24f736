"""Which method wins, and how sure an accuracy is: functions of right and wrong answers."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mmdpt.evaluation.intervals import wilson_percent
from mmdpt.results.fit_schema import Share


class Decision(NamedTuple):
    """The chosen method, and why, in a sentence."""

    name: str
    why: str


def share(correct: np.ndarray) -> Share:
    """Accuracy in per cent with its 95 % interval (Wilson 1927).

    Args:
        correct (np.ndarray): (N,) bool, at least one; or the share of right answers per image.
    """
    accuracy = 100 * float(np.mean(correct))
    low, high = wilson_percent(accuracy, len(correct))
    return Share(images=len(correct), accuracy=accuracy, low=low, high=high)


def lead(best: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    """How much better one is than another on the same images, and the standard error of that.

    Args:
        best, other (np.ndarray): (N,) bool, right answers to the same images, or shares of them.

    Returns:
        tuple: In points.
    """
    difference = 100 * (best.astype(float) - other.astype(float))
    deviation = float(np.std(difference, ddof=1)) if len(difference) > 1 else 0.0
    return float(np.mean(difference)), deviation / math.sqrt(len(difference))


def choose(correct: dict[str, np.ndarray], titles: dict[str, str]) -> Decision:
    """The simplest method that is within one standard error of the best.

    The one-standard-error rule of Breiman, Friedman, Olshen and Stone,
    "Classification and Regression Trees" (1984), section 3.4.3. All methods answer the same
    held-out images, so the error is that of the paired difference, which is smaller than that of
    an accuracy by itself: a method must only be as good on these images, not on images in
    general.

    Args:
        correct (dict): (N,) bool per method, or shares of right answers, in the order from
            simple to complex.
        titles (dict[str, str]): What people call them.
    """
    means = {name: float(np.mean(right)) for name, right in correct.items()}
    best = max(means, key=lambda name: means[name])  # of equal ones the simplest
    leads = {name: lead(correct[best], right) for name, right in correct.items()}
    name = next(name for name, (gap, error) in leads.items() if gap <= error)
    gap, error = leads[name]
    if name == best:
        return Decision(name, f'{titles[name]} is the most accurate, and no simpler one is near it')
    return Decision(
        name,
        f'{titles[best]} is {gap:.1f} points better, which is within one standard error '
        f'({error:.1f}): {titles[name]} is simpler',
    )


def tuned(correct: Sequence[Sequence[np.ndarray]]) -> tuple[int, np.ndarray]:
    """The best of several settings, and answers that their choice has not favoured.

    Each fold is answered by the setting that is best on the other folds, so that no image has a
    say in the setting that it is judged by.

    Args:
        correct (Sequence): Per setting, per fold, (n,) bool.

    Returns:
        tuple: Index of the setting that is best on all folds (of equal ones the first), and
        (N,) bool, fold by fold.
    """
    right = np.array([[fold.sum() for fold in setting] for setting in correct])  # (S, K)
    others = right.sum(1, keepdims=True) - right
    picked = others.argmax(0) if right.shape[1] > 1 else right.sum(1, keepdims=True).argmax(0)
    answers = [correct[s][k] for k, s in enumerate(picked)]
    return int(right.sum(1).argmax()), np.concatenate(answers)
