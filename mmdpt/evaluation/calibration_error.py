"""How far confidence is from accuracy: ECE in its several definitions.

All take ``confidence`` (N,), the probability of the predicted class, and ``correct`` (N,). A bin
of n_b images has the gap |mean correct - mean confidence|; figures are shares, not per cent.
"""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

BINS = 15
NARROWEST = 1e-8  # bins between quantiles


def ece(confidence: ArrayLike, correct: ArrayLike, bins: int = BINS) -> float:
    """Expected calibration error: sum of n_b / N gap_b over equally wide bins (a, b].

    `On Calibration of Modern Neural Networks <https://arxiv.org/abs/1706.04599>`_, equation 3.
    """
    counts, gaps = _right_closed(confidence, correct, bins)
    return float(counts @ gaps / counts.sum())


def mce(confidence: ArrayLike, correct: ArrayLike, bins: int = BINS) -> float:
    """Maximum calibration error: the largest gap of these bins (ibid., equation 5)."""
    return float(_right_closed(confidence, correct, bins)[1].max())


def mce_weighted(confidence: ArrayLike, correct: ArrayLike, bins: int = BINS) -> float:
    """The largest n_b / N gap_b, which the code of `Open-Vocabulary Calibration
    <https://arxiv.org/abs/2402.04655>`_ calls MCE; bins [a, b), the last with 1."""
    confidence, correct = np.asarray(confidence, float), np.asarray(correct, float)
    inner = np.linspace(0, 1, bins + 1)[1:-1]
    counts, gaps = _gaps(confidence, correct, np.digitize(confidence, inner), bins)
    return float((counts * gaps).max() / counts.sum())


def ece_left_closed(confidence: ArrayLike, correct: ArrayLike, bins: int = BINS) -> float:
    """ECE as that code has it: bins [a, b); a confidence of exactly 1 is in none, but counts in
    the weight of the last."""
    confidence, correct = np.asarray(confidence, float), np.asarray(correct, float)
    edges = np.linspace(0, 1, bins + 1)
    inside = confidence < 1
    place = np.searchsorted(edges, confidence[inside], side='right') - 1
    _, gaps = _gaps(confidence[inside], correct[inside], place, bins)
    weights = np.histogram(confidence, edges)[0] / len(confidence)
    return float(weights @ gaps)


def adaptive_ece(
    confidence: ArrayLike,
    correct: ArrayLike,
    bins: int = BINS,
    method: Literal['averaged_inverted_cdf', 'linear'] = 'averaged_inverted_cdf',
) -> float:
    """ECE over bins [a, b) between quantiles of the confidence.

    As scikit-learn's ``KBinsDiscretizer`` makes them; edges closer than 1e-8 are one. Its rule
    of quantiles changed: 'linear' before 1.9.
    """
    confidence, correct = np.asarray(confidence, float), np.asarray(correct, float)
    # in per cent, as there: rounding decides which side of a step of the rule a level is on
    edges = np.percentile(confidence, np.linspace(0, 100, bins + 1), method=method)
    edges = edges[np.ediff1d(edges, to_begin=np.inf) > NARROWEST]
    place = np.searchsorted(edges[1:-1], confidence, side='right')
    counts, gaps = _gaps(confidence, correct, place, max(len(edges) - 1, 1))
    return float(counts @ gaps / counts.sum())


def equal_count_ece(confidence: ArrayLike, correct: ArrayLike, bins: int = BINS) -> float:
    """ECE over bins of equally many images, in the order of confidence; the first are larger."""
    confidence, correct = np.asarray(confidence, float), np.asarray(correct, float)
    order = np.argsort(confidence, kind='stable')
    parts = [part for part in np.array_split(order, bins) if len(part)]
    gaps = [len(part) * abs(correct[part].mean() - confidence[part].mean()) for part in parts]
    return float(sum(gaps) / len(confidence))


def classwise_ece(
    probabilities: ArrayLike, labels: ArrayLike, bins: int = BINS
) -> NDArray[np.float64]:
    """ECE of each class's probability against whether it is the label, (C,), bins (a, b].

    `Measuring Calibration in Deep Learning <https://arxiv.org/abs/1904.01685>`_; their mean is
    the class-wise ECE.
    """
    columns = np.asarray(probabilities, float).T
    known = np.asarray(labels)
    return np.array([ece(column, known == i, bins) for i, column in enumerate(columns)])


def right_closed(confidence: ArrayLike, bins: int = BINS) -> NDArray[np.int64]:
    """Which of the equally wide bins (a, b] each confidence is in, (N,); 0 belongs to the first."""
    edges = np.linspace(0, 1, bins + 1)
    return (np.searchsorted(edges, np.asarray(confidence, float), side='left') - 1).clip(0)


def _right_closed(confidence, correct, bins: int) -> tuple[NDArray, NDArray]:
    confidence, correct = np.asarray(confidence, float), np.asarray(correct, float)
    return _gaps(confidence, correct, right_closed(confidence, bins), bins)


def _gaps(confidence, correct, place, bins: int) -> tuple[NDArray, NDArray]:
    """Images and gap of each bin, (bins,); 0 where it is empty."""
    counts = np.bincount(place, minlength=bins)
    sums = np.bincount(place, correct, bins) - np.bincount(place, confidence, bins)
    return counts, np.abs(sums) / np.maximum(counts, 1)
