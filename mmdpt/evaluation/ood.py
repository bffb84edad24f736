"""Telling images of the known classes from others, by a score of the logits.

In-distribution (ID) images are the positives, and have the higher scores.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .metrics import softmax

SCORES = ('msp', 'mcm', 'energy')
RECALL = 0.95


def scores(
    logits: ArrayLike, score: str = 'mcm', temperature: float = 1.0, scale: float | None = None
) -> NDArray[np.float64]:
    """Scores (N,) of logits (N, C).

    Args:
        logits (ArrayLike): As the model gives them, scaled cosines.
        score (str): 'msp': the maximum of the softmax; 'mcm': that of the softmax of the cosines
            (`Delving into Out-of-Distribution Detection with Vision-Language Representations
            <https://arxiv.org/abs/2211.13445>`_); 'energy': T logsumexp(logits / T)
            (`Energy-based Out-of-distribution Detection <https://arxiv.org/abs/2010.03759>`_).
        temperature (float): T, above 0.
        scale (float, optional): Of the logits, which 'mcm' takes out: CLIP's is 100.

    Raises:
        ValueError: If there is no such score, or it lacks its scale.
    """
    if score not in SCORES:
        raise ValueError(f'there is no score {score!r}: choose among {", ".join(SCORES)}')
    if not temperature > 0:
        raise ValueError(f'the temperature must be above 0, but is {temperature!r}')
    values = np.asarray(logits, np.float64)
    if score == 'energy':
        from scipy.special import logsumexp

        return temperature * logsumexp(values / temperature, axis=1)
    if score == 'mcm':
        if scale is None:
            raise ValueError('mcm needs the scale of the logits: 100 for CLIP')
        values = values / scale
    return softmax(values / temperature).max(axis=1)


def summary(inside: ArrayLike, outside: ArrayLike) -> dict[str, float]:
    """``auroc``, ``aupr_in``, ``aupr_out``, ``fpr95`` of scores of ID and other images."""
    return dict(
        auroc=auroc(inside, outside),
        aupr_in=aupr(inside, outside),
        aupr_out=aupr(-np.asarray(outside), -np.asarray(inside)),
        fpr95=fpr95(inside, outside),
    )


def auroc(inside: ArrayLike, outside: ArrayLike) -> float:
    """Area under the ROC curve; ties count half."""
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(*_joined(inside, outside)))


def aupr(positive: ArrayLike, negative: ArrayLike) -> float:
    """Average precision, step-wise, of scores that are higher for the positives."""
    from sklearn.metrics import average_precision_score

    return float(average_precision_score(*_joined(positive, negative)))


def fpr95(inside: ArrayLike, outside: ArrayLike) -> float:
    """Share of other images that are taken for ID where about 95 % of the ID images are.

    As the code of MCM and LoCoOp has it: of the observed thresholds (score >= threshold) the one
    whose recall is nearest to 0.95, which may be below; the higher recall of two as near, and the
    lowest threshold of one recall.
    """
    from sklearn.metrics import roc_curve

    false, recall, _ = roc_curve(*_joined(inside, outside), drop_intermediate=False)
    last = int(np.argmax(recall >= 1))  # the first threshold that all ID images pass
    false, recall = false[last:0:-1], recall[last:0:-1]  # without that which none passes
    return float(false[np.argmin(np.abs(recall - RECALL))])


def fpr95_percentile(inside: ArrayLike, outside: ArrayLike) -> float:
    """The same at a percentile of the ID scores, interpolated (GalLoP)."""
    threshold = np.percentile(-np.asarray(inside, np.float64), 100 * RECALL)
    return float(np.mean(-np.asarray(outside, np.float64) < threshold))


def detection_accuracy(inside: ArrayLike, outside: ArrayLike) -> float:
    """Mean of recall and 1 - FPR at the best threshold (GalLoP)."""
    from sklearn.metrics import roc_curve

    false, recall, _ = roc_curve(*_joined(inside, outside), drop_intermediate=False)
    return float((recall + 1 - false).max() / 2)


def _joined(positive: ArrayLike, negative: ArrayLike) -> tuple[NDArray, NDArray]:
    """Truth and scores of both.

    Raises:
        ValueError: If one of them has no image.
    """
    parts = [np.asarray(part, np.float64).ravel() for part in (positive, negative)]
    if not all(len(part) for part in parts):
        raise ValueError('telling images apart needs some of both kinds')
    return np.repeat([1, 0], [len(part) for part in parts]), np.concatenate(parts)
