"""Figures of logits (N, C) and labels (N,), beyond top-1 accuracy.

NumPy arrays or tensors of the CPU, in double precision. Shares are from 0 to 1; ``accuracy``,
``per_class_mean_accuracy`` and ``macro_f1`` are per cent.
"""

import statistics

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .calibration_error import BINS, adaptive_ece, classwise_ece, ece, mce

Figures = dict[str, float]


def summary(logits: ArrayLike, labels: ArrayLike, bins: int = BINS) -> Figures:
    """All figures of one test.

    Args:
        logits (ArrayLike): (N, C).
        labels (ArrayLike): (N,), all known.
        bins (int): Of the calibration errors.

    Returns:
        dict[str, float]: ``accuracy``, ``per_class_mean_accuracy``, ``macro_f1``, ``ece``,
        ``adaptive_ece``, ``classwise_ece``, ``mce``, ``brier``, ``nll``, ``aurc``, ``e_aurc``.

    Raises:
        ValueError: If there is no image, a label is unknown, or a logit is NaN or infinite (-inf,
            a probability of 0, may be).
    """
    logits, labels = _checked(logits, labels)
    probabilities = softmax(logits)
    confidence, predicted = probabilities.max(axis=1), logits.argmax(axis=1)
    right = predicted == labels
    return dict(
        accuracy=accuracy(predicted, labels),
        per_class_mean_accuracy=per_class_mean_accuracy(predicted, labels),
        macro_f1=macro_f1(predicted, labels),
        ece=ece(confidence, right, bins),
        adaptive_ece=adaptive_ece(confidence, right, bins),
        classwise_ece=float(classwise_ece(probabilities, labels, bins).mean()),
        mce=mce(confidence, right, bins),
        brier=brier(probabilities, labels),
        nll=nll(logits, labels),
        aurc=aurc(confidence, right),
        e_aurc=e_aurc(confidence, right),
    )


def _checked(logits: ArrayLike, labels: ArrayLike) -> tuple[NDArray[np.float64], NDArray]:
    values, known = np.asarray(logits, np.float64), np.asarray(labels)
    if values.ndim != 2 or known.shape != values.shape[:1] or not len(known):
        raise ValueError(
            f'logits are {values.shape} and labels {known.shape}: give (N, C) and (N,), N > 0'
        )
    if not np.isfinite(values.max(axis=1)).all():
        raise ValueError('the logits are not finite, so they say nothing')
    if known.min() < 0 or known.max() >= values.shape[1]:
        raise ValueError(
            f'labels must be from 0 to {values.shape[1] - 1}: leave images out whose label is '
            'unknown'
        )
    return values, known


def softmax(logits: ArrayLike) -> NDArray[np.float64]:
    """Probabilities, (N, C)."""
    from scipy.special import softmax as of

    return of(np.asarray(logits, np.float64), axis=1)


def accuracy(predicted: ArrayLike, labels: ArrayLike) -> float:
    """Per cent of the images whose prediction is right."""
    return float(100 * np.mean(np.asarray(predicted) == np.asarray(labels)))


def per_class_mean_accuracy(predicted: ArrayLike, labels: ArrayLike) -> float:
    """Mean accuracy of the classes that have an image, in per cent."""
    from sklearn.metrics import recall_score

    present = np.unique(np.asarray(labels))
    return float(100 * recall_score(labels, predicted, labels=present, average='macro'))


def macro_f1(predicted: ArrayLike, labels: ArrayLike, classes: int | None = None) -> float:
    """Mean F1 in per cent, of the classes that have an image.

    Args:
        predicted, labels (ArrayLike): (N,).
        classes (int, optional): Of so many classes instead; one without label and prediction
            has 0.
    """
    from sklearn.metrics import f1_score

    of = np.unique(np.asarray(labels)) if classes is None else np.arange(classes)
    return float(100 * f1_score(labels, predicted, labels=of, average='macro', zero_division=0))


def brier(probabilities: ArrayLike, labels: ArrayLike) -> float:
    """Mean over the images of the SUM over the classes of (p - [label])^2.

    `Verification of forecasts expressed in terms of probability
    <https://doi.org/10.1175/1520-0493(1950)078%3C0001:VOFEIT%3E2.0.CO;2>`_.
    """
    errors = np.array(probabilities, np.float64)
    errors[np.arange(len(errors)), np.asarray(labels)] -= 1
    return float((errors**2).sum(axis=1).mean())


def nll(logits: ArrayLike, labels: ArrayLike) -> float:
    """Mean of -log of the label's probability."""
    from scipy.special import log_softmax

    logs = log_softmax(np.asarray(logits, np.float64), axis=1)
    return float(-logs[np.arange(len(logs)), np.asarray(labels)].mean())


def risks(confidence: ArrayLike, correct: ArrayLike) -> NDArray[np.float64]:
    """Share of errors among the 1, 2, ..., N most confident images, (N,); ties in their order."""
    order = np.argsort(-np.asarray(confidence, np.float64), kind='stable')
    wrong = 1.0 - np.asarray(correct, np.float64)[order]
    return np.cumsum(wrong) / np.arange(1, len(wrong) + 1)


def aurc(confidence: ArrayLike, correct: ArrayLike) -> float:
    """Area under the risk-coverage curve: mean of :func:`risks`.

    `Bias-Reduced Uncertainty Estimation for Deep Neural Classifiers
    <https://arxiv.org/abs/1805.08206>`_.
    """
    return float(risks(confidence, correct).mean())


def aurc_trapezoid(confidence: ArrayLike, correct: ArrayLike) -> float:
    """The same by trapezoids over coverages from 1/N to 1, divided by 1 - 1/N; NaN of one image."""
    found = risks(confidence, correct)
    return float((found[1:] + found[:-1]).mean() / 2) if len(found) > 1 else float('nan')


def e_aurc(confidence: ArrayLike, correct: ArrayLike) -> float:
    """:func:`aurc`, less that of the best order, all errors last (ibid.)."""
    right = np.asarray(correct, np.float64)
    return aurc(confidence, right) - aurc(right, right)


def harmonic_mean(base: float, new: float) -> float:
    """2 b n / (b + n) of the accuracies on base and new classes; 0 if both are 0.

    Of several datasets, give the averages: the figure of the papers is the harmonic mean of
    the averages, not the average of the harmonic means.
    """
    return statistics.harmonic_mean([base, new])
