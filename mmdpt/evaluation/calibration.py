"""How far a model's probabilities can be believed: a temperature, and when to say "not sure".

Temperature scaling: Guo et al., `On Calibration of Modern Neural Networks
<https://arxiv.org/abs/1706.04599>`_, section 4.2. One number T divides the logits, so the
likeliest class stays the same. The threshold is Chow's rule (1970), `On optimum recognition error
and reject tradeoff`: no answer where the largest probability is too small.
"""

import math
from typing import Annotated

import torch
import torch.nn.functional as F
from mmpretrain.structures import DataSample
from pydantic import Field

from mmdpt.utils.values import Closed, Many, Share

LEAST, MOST = 0.01, 100.0  # of a temperature
EVIDENCE = 3.84  # of the likelihood-ratio test: 5 %, one degree of freedom


class Calibration(Closed):
    """What a calibrated checkpoint says; photos of its own classes are what it holds for.

    Attributes:
        temperature: Divides the logits.
        threshold: The largest probability below which the answer is "not sure".
        keep: Share of the right answers on the held-out images that it keeps.
        images: How many held-out images there were.
        source: Which.
    """

    temperature: Annotated[float, Field(ge=LEAST, le=MOST)]
    threshold: Share
    keep: Annotated[float, Field(gt=0, le=1)]
    images: Many
    source: Annotated[str, Field(max_length=1000)]


def fit_temperature(logits: torch.Tensor, labels: torch.Tensor) -> float:
    """The temperature whose probabilities give held-out labels the greatest likelihood.

    The negative log-likelihood is convex in b = 1/T, and its slope in b, the mean of
    ``softmax(b z) . z - z_label``, rises with b: T is where it is zero.

    Args:
        logits (Tensor): Of images that the model has not learnt from, (N, C).
        labels (Tensor): Their classes, (N,), from 0 to C - 1.

    Returns:
        float: From 0.01 to 100. 1 where every answer is right, as then nothing tells how sure
        is too sure, and the likelihood would grow without end.

    Raises:
        ValueError: If there is no image, or a logit is not finite, or a label is no class.
    """
    from scipy.optimize import brentq

    check(logits, labels)
    z = logits.double()
    right = z.gather(1, labels[:, None])
    if (right == z.amax(1, keepdim=True)).all():
        return 1.0

    def slope(b: float) -> float:
        return float(((b * z).softmax(1) * (z - right)).sum(1).mean())

    low, high = 1 / MOST, 1 / LEAST
    if slope(low) >= 0:
        return MOST
    if slope(high) <= 0:
        return LEAST
    return 1 / float(brentq(slope, low, high, xtol=1e-9))


def reject_threshold(
    probabilities: torch.Tensor, labels: torch.Tensor, keep: float = 0.95
) -> float:
    """The highest threshold that keeps a share of the right answers.

    Args:
        probabilities (Tensor): Of images that the model has not learnt from, (N, C).
        labels (Tensor): Their classes, (N,).
        keep (float): At least this share of the R right answers has a probability that is not
            below the threshold, so floor((1 - keep) R) of them may be lost.

    Raises:
        ValueError: As of :func:`fit_temperature`; if ``keep`` is not above 0 and at most 1; or
            if no answer is right.
    """
    check(probabilities, labels)
    if not 0 < keep <= 1:
        raise ValueError(f'keep is a share above 0 and at most 1, such as 0.95, but is {keep}')
    sure, answers = probabilities.max(1)
    right = sure[answers == labels].sort().values
    if not len(right):
        raise ValueError(
            f'none of the {len(labels)} held-out images is classified rightly, so no threshold '
            'can keep right answers: train a better model first'
        )
    lost = math.floor((1 - keep) * len(right) + 1e-9)  # 0.05 x 20 is 1
    return float(right[min(lost, len(right) - 1)])


def calibration(
    logits: torch.Tensor, labels: torch.Tensor, source: str, keep: float = 0.95
) -> Calibration:
    """Temperature and threshold from one set of held-out images.

    The temperature stays 1 unless the images speak against it by a likelihood-ratio test at 5 %
    (Wilks): few images give an uncertain one, which makes probabilities worse that were right.

    Args:
        logits (Tensor), labels (Tensor), keep (float): As above.
        source (str): Which images, in words.
    """
    temperature, z = fit_temperature(logits, labels), logits.double()
    before, after = (F.cross_entropy(z / t, labels, reduction='sum') for t in (1, temperature))
    if 2 * float(before - after) < EVIDENCE:
        temperature = 1.0
    threshold = reject_threshold(tempered(logits.float(), temperature), labels, keep)
    return Calibration(
        temperature=temperature,
        threshold=min(threshold, 1.0),
        keep=keep,
        images=len(labels),
        source=source,
    )


def tempered(logits: torch.Tensor, temperature: float) -> torch.Tensor:
    """Probabilities of logits (..., C) that a temperature divides.

    Probabilities would not do in their place: the logits of GDA differ by hundreds, and what
    has become 0 stays 0.
    """
    return (logits if temperature == 1 else logits / temperature).softmax(-1)


def logits_in(sample: DataSample) -> torch.Tensor:
    """Logits (C,) of a prediction; log-probabilities of MMPretrain's heads, which keep none."""
    return sample.pred_logits if 'pred_logits' in sample else sample.pred_score.log()


def check(scores: torch.Tensor, labels: torch.Tensor) -> None:
    """Raise ValueError unless these are finite scores (N, C) and labels (N,) of N images."""
    if scores.dim() != 2 or labels.shape != scores.shape[:1] or not len(labels):
        raise ValueError(
            'calibration needs scores (N, C) and labels (N,) of at least one image, but these are '
            f'{tuple(scores.shape)} and {tuple(labels.shape)}'
        )
    if not torch.isfinite(scores).all():
        raise ValueError('the scores are not finite, so nothing can be calibrated on them')
    if labels.min() < 0 or labels.max() >= scores.shape[1]:
        raise ValueError(
            f'labels are from 0 to {scores.shape[1] - 1}, but these are from {int(labels.min())} '
            f'to {int(labels.max())}: leave unlabelled images out'
        )
