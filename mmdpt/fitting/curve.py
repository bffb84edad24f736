"""Would more photos help? Accuracy of parts of the training photos."""

from dataclasses import replace

import numpy as np

from mmdpt.results.fit_schema import Curve, Point

from .budget import spell
from .choice import share
from .compare import Folds, Outcome
from .methods import METHODS
from .photos import thinned

PARTS = (25, 50, 75)  # per cent; 100 is known


def learning_curve(
    candidates: list[Outcome], folds: Folds, seed: int, tell=lambda done, total: None
) -> Curve:
    """Cross-validate with parts of the training photos, if the time allows.

    Args:
        candidates (list[Outcome]): Methods to draw it for, the most wanted first: the first one
            that fits into the time is taken.
        folds (Folds): All photos.
        seed (int): Of the draw of the parts.
        tell (Callable): Gets how many of how many trainings are done.
    """
    left, count = folds.budget.left(), len(folds.splits)
    costs = {o.tried.name: len(PARTS) * count * o.seconds for o in candidates}
    fitting = [o for o in candidates if costs[o.tried.name] <= left]
    first = candidates[0].tried
    if not fitting:
        seconds = spell(min(costs.values()))
        reason = f'it needs about {seconds}, {spell(max(0, left))} are left'
        return Curve(method=first.name, title=first.title, left_out=reason)
    outcome = fitting[0]
    tried, points, done = outcome.tried, [], 0
    for part in PARTS:
        thin = replace(folds, splits=[_thin(split, part, seed) for split in folds.splits])
        right = []
        for fold in range(count):
            found = thin.train(METHODS[tried.name], tried.settings, fold, None)
            right.append(found.learnt.correct().numpy())
            done += 1
            tell(done, len(PARTS) * count)
        points.append(_point(part, thin, np.concatenate(right)))
    assert outcome.right is not None
    points.append(_point(100, folds, outcome.right))
    return Curve(method=tried.name, title=tried.title, points=points)


def _thin(split, part: int, seed: int):
    return split._replace(train=thinned(split.train, part / 100, seed))


def _point(part: int, folds: Folds, right: np.ndarray) -> Point:
    images = round(np.mean([len(split.train) for split in folds.splits]))
    return Point(share=float(part), train_images=images, **share(right).model_dump())
