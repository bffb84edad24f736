"""Logistic regression and the search of its regularisation, for the linear probe.

The protocol is CoOp's, ``lpclip/linear_probe.py`` (MIT), after Tian et al.,
"Rethinking Few-Shot Image Classification: A Good Embedding Is All You Need?",
and CLIP's own probe.
"""

from typing import Any, NamedTuple

import numpy as np

from mmdpt.utils.checks import check_least

# in this order: among equals the first, weakest regularisation is taken
FIRST_C = (1e6, 1e4, 1e2, 1.0, 1e-2, 1e-4, 1e-6)
SMALL = 10**6  # numbers in the features, below which threads of BLAS wait more than they compute


class SearchRound(NamedTuple):
    """One round of the search; ``kept`` is the better of the two ends."""

    c: tuple[float, float]  # left, right
    val_accuracy: tuple[float, float]  # left, right; from 0 to 1
    kept: Any  # sklearn.linear_model.LogisticRegression


class LinearProbe(NamedTuple):
    """The outcome of :func:`search_linear_probe`."""

    first_val_accuracy: list[float]  # one for each of FIRST_C
    rounds: list[SearchRound]

    @property
    def classifier(self):
        """The classifier of the last round, which the protocol tests."""
        return self.rounds[-1].kept


def fit_logistic(features: np.ndarray, labels: np.ndarray, c: float):
    """Fit L2-regularised logistic regression with L-BFGS.

    Args:
        features (np.ndarray): (N, D), converted to float64.
        labels (np.ndarray): (N,) class indices.
        c (float): Inverse strength of the regularisation.

    Returns:
        sklearn.linear_model.LogisticRegression: The fitted classifier.
    """
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    classifier = LogisticRegression(solver='lbfgs', max_iter=1000, C=c)
    with threadpool_limits(1 if np.size(features) < SMALL else None):
        return classifier.fit(np.asarray(features, np.float64), labels)


def accuracy(classifier, features: np.ndarray, labels: np.ndarray) -> float:
    """The share of right predictions, from 0 to 1."""
    predicted = classifier.predict(np.asarray(features, np.float64))
    return float(np.sum(predicted == labels) / len(labels))


def search_linear_probe(
    train: tuple[np.ndarray, np.ndarray], val: tuple[np.ndarray, np.ndarray], rounds: int = 8
) -> LinearProbe:
    """Fit a linear probe; choose its C on ``val`` by bisection.

    Args:
        train (tuple): Features (N, D), by the protocol not normalised, and
            labels (N,).
        val (tuple): The same for the few-shot validation images.
        rounds (int): Rounds of the bisection. Defaults to 8.

    Returns:
        LinearProbe: The classifier and how it was found.

    Raises:
        ValueError: If features and labels do not fit, or ``rounds`` < 1.
    """
    _check('train', *train)
    _check('val', *val)
    check_least('rounds', rounds, 1)

    first = [accuracy(fit_logistic(*train, c), *val) for c in FIRST_C]
    peak = FIRST_C[int(np.argmax(first))]
    ends, history = (0.1 * peak, 10.0 * peak), []
    for _ in range(rounds):
        pair = [fit_logistic(*train, c) for c in ends]
        scores = tuple(accuracy(classifier, *val) for classifier in pair)
        right = scores[0] < scores[1]  # a tie keeps the left one
        history.append(SearchRound(ends, (scores[0], scores[1]), pair[right]))
        low, high = np.log10(ends)
        middle = 0.5 * (high + low)
        low, high = (middle, high) if right else (low, middle)
        ends = (float(np.power(10, low)), float(np.power(10, high)))
    return LinearProbe(first, history)


def _check(name: str, features: np.ndarray, labels: np.ndarray) -> None:
    if np.ndim(features) != 2 or np.shape(labels) != (len(features),):
        raise ValueError(
            f'{name} must be features (N, D) and labels (N,), got shapes '
            f'{np.shape(features)} and {np.shape(labels)}.'
        )
