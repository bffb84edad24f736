"""Base and new classes in one answer, without knowing which of the two an image is of."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .metrics import softmax
from .ood import auroc

SCORES = ('max', 'sum')  # how sure an answer is that an image is of a base class


def open_world(logits: ArrayLike, labels: ArrayLike, base: int) -> dict[str, float]:
    """All figures of an open world, in per cent.

    Args:
        logits (ArrayLike): (N, C), of all classes.
        labels (ArrayLike): (N,).
        base (int): The first classes, as many, are the base classes.

    Returns:
        dict[str, float]: ``overall``: one answer out of all classes; ``base`` and ``new``: the
        same, of the images of each half; for each score, ``AUROC`` of base against new images
        and :func:`openworld_auc`.

    Raises:
        ValueError: If a half has no image.
    """
    values, truth = np.asarray(logits, np.float64), np.asarray(labels)
    known = truth < base
    if known.all() or not known.any():
        raise ValueError('an open world needs test images of base and of new classes')
    right = values.argmax(1) == truth
    found = dict(overall=right.mean(), base=right[known].mean(), new=right[~known].mean())
    of_base = values[:, :base].argmax(1) == truth
    of_new = values[:, base:].argmax(1) + base == truth
    for name in SCORES:
        score = base_score(values, base, name)
        found[f'AUROC ({name})'] = auroc(score[known], score[~known])
        found[f'OpenworldAUC ({name})'] = openworld_auc(
            score[known], score[~known], of_base[known], of_new[~known]
        )
    return {name: 100 * float(value) for name, value in found.items()}


def base_score(logits: NDArray, base: int, name: str) -> NDArray[np.float64]:
    """How likely an image is of a base class, (N,).

    Args:
        logits (NDArray): (N, C).
        base (int): Number of base classes.
        name (str): 'max' or 'sum' of the base classes' probabilities among all classes, the
            two that need no training; methods with a detector of their own use that.
    """
    probabilities = softmax(logits)[:, :base]
    return probabilities.max(1) if name == 'max' else probabilities.sum(1)


def openworld_auc(
    base: ArrayLike, new: ArrayLike, base_right: ArrayLike, new_right: ArrayLike
) -> float:
    """OpenworldAUC: E[1(base image is right) 1(r(base) > r(new)) 1(new image is right)].

    Over all pairs of a base and a new image; each is classified among the classes of its own
    half. `OpenworldAUC: Towards Unified Evaluation and Optimization for Open-world Prompt Tuning
    <https://arxiv.org/abs/2505.05180>`_; the formula was read where the AAAI 2026 paper of
    ERF and GDM states it (its equation 6), not in the paper itself. Equal scores do not count.

    Args:
        base (ArrayLike): (B,) scores r of base images, higher for base classes.
        new (ArrayLike): (N,) scores of new images.
        base_right (ArrayLike): (B,) whether each base image is classified right.
        new_right (ArrayLike): (N,) the same of new images.

    Returns:
        float: From 0 to 1.
    """
    high, low = np.asarray(base, np.float64), np.asarray(new, np.float64)
    counted = np.sort(low[np.asarray(new_right, bool)])
    below = np.searchsorted(counted, high[np.asarray(base_right, bool)], side='left')
    return float(below.sum() / (len(high) * len(low)))
