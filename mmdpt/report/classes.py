"""What a report says class by class, and which photos it shows."""

import numpy as np
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from mmdpt.evaluation.intervals import wilson
from mmdpt.evaluation.predictions import Predictions

from .content import Answer, ClassRow, Confusion, Photo

ANSWERS = 3  # shown per photo
MOST_CONFUSIONS = 200
WANTED = 5  # classes where more photos would help most
FEW = 0.9  # a class with such a recall and precision is not among them


def confusion(predictions: Predictions) -> np.ndarray:
    """Photos by label and prediction, int64, (C, C)."""
    labels, predicted = predictions.labels.numpy(), predictions.logits.argmax(1).numpy()
    return confusion_matrix(labels, predicted, labels=range(len(predictions.classes)))


def class_rows(
    predictions: Predictions,
    zero_shot: Predictions | None = None,
    training: dict[str, int] | None = None,
) -> list[ClassRow]:
    """Precision and recall of each class, with the interval of the recall.

    Args:
        predictions (Predictions): The learnt model's.
        zero_shot (Predictions, optional): Frozen CLIP's on the same photos.
        training (dict[str, int], optional): Training photos per class.
    """
    matrix = confusion(predictions)
    precision, recall = _precision_recall(predictions)
    before = None if zero_shot is None else _precision_recall(zero_shot)[1]
    rows = []
    for i, name in enumerate(predictions.classes):
        right, images = int(matrix[i, i]), int(matrix[i].sum())
        low, high = wilson(right, images) if images else (None, None)
        rows.append(
            ClassRow(
                name=name,
                images=images,
                right=right,
                precision=_percent(precision[i]),
                recall=_percent(recall[i]),
                recall_low=_percent(low),
                recall_high=_percent(high),
                zero_shot_recall=None if before is None else _percent(before[i]),
                training_images=None if training is None else training.get(name),
            )
        )
    return rows


def _precision_recall(predictions: Predictions) -> tuple[np.ndarray, np.ndarray]:
    """Of each class, NaN where there is no photo to tell."""
    labels, predicted = predictions.labels.numpy(), predictions.logits.argmax(1).numpy()
    precision, recall, _, _ = precision_recall_fscore_support(
        labels, predicted, labels=range(len(predictions.classes)), zero_division=np.nan
    )
    return precision, recall


def _percent(share: float | None) -> float | None:
    return None if share is None or np.isnan(share) else 100 * float(share)


def confusions(predictions: Predictions) -> list[Confusion]:
    """Which class is taken for which, the most frequent ones first."""
    matrix = confusion(predictions)
    np.fill_diagonal(matrix, 0)
    order = np.argsort(-matrix, axis=None, kind='stable')[:MOST_CONFUSIONS]
    names = predictions.classes
    return [
        Confusion(truth=names[i], answer=names[j], images=int(matrix[i, j]))
        for i, j in zip(*np.unravel_index(order, matrix.shape))
        if matrix[i, j]
    ]


def wanting(rows: list[ClassRow]) -> list[str]:
    """Classes where more photos would help most: those with the lowest F1, fewer training photos
    first where it is equal; none that is found and believed in nine of ten cases."""

    def f1(row: ClassRow) -> float:
        wanted = row.images + row.right / (row.precision / 100) if row.precision else row.images
        return 2 * row.right / wanted

    known = [r for r in rows if r.images]
    weak = [r for r in known if f1(r) < FEW]
    return [r.name for r in sorted(weak, key=lambda r: (f1(r), r.training_images or 0))[:WANTED]]


def choose_photos(
    predictions: Predictions, wrong: int, unsure: int, temperature: float = 1.0
) -> tuple[list, list]:
    """Photos to show.

    Args:
        predictions (Predictions): The learnt model's.
        wrong (int): The most photos that it gets wrong: those it is surest of.
        unsure (int): The most photos of which it is least sure, without those before.
        temperature (float): What the logits are divided by. Defaults to 1.

    Returns:
        tuple[list[Photo], list[Photo]]: Both.
    """
    probabilities = predictions.probabilities(temperature).numpy()
    sure = probabilities.max(1)
    mistaken = ~predictions.correct().numpy()
    order = np.argsort(-sure, kind='stable')
    first = [int(i) for i in order if mistaken[i]][:wrong]
    shown = set(first)
    second = [int(i) for i in order[::-1] if int(i) not in shown][:unsure]
    return tuple(  # type: ignore[return-value]
        [photo(predictions, i, probabilities[i]) for i in chosen] for chosen in (first, second)
    )


def photo(predictions: Predictions, index: int, probabilities: np.ndarray) -> Photo:
    """One photo with its likeliest classes.

    Args:
        predictions (Predictions): Of all photos.
        index (int): Which one.
        probabilities (ndarray): Of that photo, (C,).
    """
    best = np.argsort(-probabilities, kind='stable')[:ANSWERS]
    label = int(predictions.labels[index])
    return Photo(
        image=predictions.images[index],
        truth=predictions.classes[label],
        truth_probability=float(probabilities[label]),
        right=bool(best[0] == label),
        answers=[
            Answer(name=predictions.classes[i], probability=float(probabilities[i])) for i in best
        ],
    )
