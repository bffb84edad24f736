"""The cross-validation once more, with other folds, while the choice is in doubt and time is left.

Repeated cross-validation: Kim, "Estimating classification error rate: Repeated cross-validation,
repeated hold-out and bootstrap", Computational Statistics & Data Analysis 53 (2009). Each photo
counts with the mean of its answers, so less is left to the chance of folds and trainings, and
methods are told apart that one cross-validation cannot tell apart.
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from .choice import choose, share
from .compare import Folds, Outcome, cross_validate
from .methods import METHODS
from .photos import Photos, deal
from .screen import Screen

MOST = 5  # cross-validations of a method
SPARE = 1.1  # of the time that one took


class Doubt(NamedTuple):
    """Two methods whose difference decides: the choice, and the best one."""

    names: tuple[str, str]
    times: int  # cross-validations that both should have


def settle(outcomes: list[Outcome], folds: Folds, photos: Photos, screen: Screen) -> None:
    """Repeat the cross-validation of the chosen and of the best method, if they are not the same.

    Args:
        outcomes (list[Outcome]): From simple to complex; changed in place.
        folds (Folds): Of the first cross-validation.
        photos (Photos): The photos.
        screen (Screen): Shows what goes on.
    """
    by_name = {o.tried.name: o for o in outcomes if o.right is not None}
    while doubt := in_doubt(by_name):
        for name in doubt.names:
            outcome, method = by_name[name], METHODS[name]
            if not method.learns or outcome.tried.repeats >= doubt.times:
                continue
            took = outcome.tried.seconds / outcome.tried.repeats
            if SPARE * took + folds.budget.refit > folds.budget.left():
                return
            screen.working(f'{method.title} with other folds')
            seed = folds.setting.seed + outcome.tried.repeats
            again = replace(folds, splits=deal(photos.train, seed))
            found = cross_validate(method, again, screen)
            if found.right is None:  # it fell behind its prediction
                return
            add(outcome, found, folds, again)


def in_doubt(by_name: dict[str, Outcome]) -> Doubt | None:
    """What the choice hangs on; None if on nothing, or if it was looked at often enough."""
    if len(by_name) < 2:
        return None
    right = {name: o.right for name, o in by_name.items() if o.right is not None}
    best = max(right, key=lambda name: float(np.mean(right[name])))
    chosen = choose(right, {name: o.tried.title for name, o in by_name.items()}).name
    learning = [by_name[n].tried.repeats for n in (chosen, best) if METHODS[n].learns]
    if chosen == best or min(learning) >= MOST:
        return None
    return Doubt((chosen, best), min(learning) + 1)


def add(outcome: Outcome, found: Outcome, folds: Folds, again: Folds) -> None:
    """Average an outcome with one more cross-validation, photo by photo."""
    assert outcome.right is not None and found.right is not None
    order = [item.path for split in folds.splits for item in split.test]
    answers = dict(
        zip((item.path for split in again.splits for item in split.test), found.right.tolist())
    )
    tried, right = outcome.tried, np.array([answers[path] for path in order], float)
    outcome.right = (tried.repeats * outcome.right + right) / (tried.repeats + 1)
    outcome.tried = tried.model_copy(
        update=dict(
            repeats=tried.repeats + 1,
            result=share(outcome.right),
            seconds=tried.seconds + found.tried.seconds,
        )
    )
