"""Whether probabilities can be believed, and whether more photos would help."""

import numpy as np

from mmdpt.evaluation.calibration_error import BINS, ece, right_closed
from mmdpt.evaluation.predictions import Predictions

from .classes import wanting
from .content import Bin, Calibration, ClassRow, LearningCurve, Point
from .run import RunFolder


def calibration(
    predictions: Predictions, temperature: float = 1.0, source: str = ''
) -> Calibration:
    """Compare probabilities with the share of right answers.

    Args:
        predictions (Predictions): Of labelled photos.
        temperature (float): What the logits are divided by. Defaults to 1.
        source (str): Where the temperature comes from.
    """
    confidence = predictions.probabilities(temperature).numpy().max(1)
    correct = predictions.correct().numpy()
    before = None
    if temperature != 1:
        before = ece(predictions.probabilities().numpy().max(1), correct)
    return Calibration(
        ece=ece(confidence, correct),
        confidence=float(confidence.mean()),
        bins=_bins(confidence, correct),
        temperature=temperature,
        ece_before=before,
        source=source,
    )


def _bins(confidence: np.ndarray, correct: np.ndarray) -> list[Bin]:
    """The bins (a, b] of :func:`mmdpt.evaluation.calibration_error.ece`."""
    edges, place = np.linspace(0, 1, BINS + 1), right_closed(confidence)
    found = []
    for i in range(BINS):
        inside = place == i
        number = int(inside.sum())
        found.append(
            Bin(
                low=edges[i],
                high=edges[i + 1],
                images=number,
                confidence=float(confidence[inside].mean()) if number else 0.0,
                accuracy=float(correct[inside].mean()) if number else 0.0,
            )
        )
    return found


def learning_curve(run: RunFolder, rows: list[ClassRow]) -> LearningCurve:
    """What ``mmdpt fit`` measured with parts of the training photos."""
    curve = run.fit and run.fit.curve
    classes = wanting(rows)
    if not curve or not curve.points:
        why = curve and curve.left_out
        if not why:
            why = (
                'a single training does not tell. mmdpt fit measures it, and so do trainings with '
                'several numbers of shots (mmdpt sweep --shots 1 2 4 8 16)'
            )
        return LearningCurve(answer=f'Not measured: {why}.', classes=classes)
    points = [
        Point(share=p.share, images=p.train_images, percent=p.accuracy, low=p.low, high=p.high)
        for p in curve.points
    ]
    return LearningCurve(points=points, answer=_would_help(points), classes=classes)


def _would_help(points: list[Point]) -> str:
    """Judge the last step of the curve."""
    if len(points) < 2:
        return 'There is one point only, which does not tell.'
    before, last = points[-2:]
    gain = last.percent - before.percent
    step = f'From {before.images} to {last.images} training photos accuracy went {gain:+.1f} points'
    if before.high is not None and last.percent > before.high:
        return f'Yes, probably. {step}, beyond the interval of the point before.'
    if before.low is not None and last.percent < before.low:
        return f'Hardly. {step}.'
    if gain < 0.5:
        return f'Hardly more of the same kind. {step}, which is within its interval.'
    return f'Perhaps. {step}, which is within its interval.'
