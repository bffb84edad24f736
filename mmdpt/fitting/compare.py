"""The cross-validation of one method."""

import os.path as osp
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from mmdpt.datasets.split_files import Split
from mmdpt.results.fit_schema import Tried

from .budget import Budget, OutOfTime, growth, longest, needed, spell
from .choice import share, tuned
from .compose import Setting, compose
from .features import ZeroShot
from .methods import METHODS, Method
from .photos import Photos, write_split
from .runs import Run, run, write_config
from .screen import Screen

ALONE = 'clap'  # where nothing can be compared
ALONE_WHY = (
    'It needs no validation photos and stays near zero-shot CLIP; with one photo per class nothing '
    'could be compared'
)
SLACK = 0.05  # of the budget, before a method that fell behind its prediction is given up


@dataclass
class Folds:
    """What all cross-validations share.

    Attributes:
        splits: Per fold its train and test list.
        setting: Of all methods.
        budget: The time.
        folder: For split files and trainings, which are removed.
    """

    splits: list[Split]
    setting: Setting
    budget: Budget
    folder: str

    def train(self, method: Method, chosen: dict, fold: int, most: float | None) -> Run:
        """Train a method on a fold."""
        folder = osp.join(self.folder, f'{method.name}_{fold}')
        split = write_split(self.splits[fold], osp.join(folder, 'split.json'))
        config = write_config(compose(method, self.setting, split, chosen), folder)
        try:
            return run(config, osp.join(folder, 'run'), most)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@dataclass
class Outcome:
    """A method's cross-validation.

    Attributes:
        tried: For ``fit.json``.
        right: (N,) bool, fold by fold, or shares of right answers; None if it was left out.
        runs: Of the chosen setting, one per fold.
        seconds: Of one training, on average.
    """

    tried: Tried
    right: np.ndarray | None = None
    runs: list[Run] = field(default_factory=list)
    seconds: float = 0.0


def compare(
    wanted: Sequence[str], folds: Folds, photos: Photos, zero: ZeroShot, screen: Screen, named: bool
) -> list[Outcome]:
    """Cross-validate methods, from simple to complex, and zero-shot CLIP in any case.

    Args:
        wanted (Sequence[str]): Their names.
        folds (Folds): Without any, nothing can be compared.
        photos (Photos): The photos.
        zero (ZeroShot): What zero-shot CLIP says of them.
        screen (Screen): Gets a row per method.
        named (bool): Whether the user has named them: then a method that does not suit the photos
            is an error, and not left out.

    Raises:
        ValueError: See above.
    """
    if not folds.splits:
        name = ALONE if ALONE in wanted else next(n for n in [*wanted[1:], *wanted])
        return [Outcome(Tried(name=name, title=METHODS[name].title, left_out=ALONE_WHY))]
    right = dict(zip((item.path for item in photos.train), zero.right.tolist()))
    outcomes = [zero_shot_outcome(METHODS['zeroshot'], folds.splits, right)]
    screen.row(outcomes[0].tried)
    for name in wanted:
        method = METHODS[name]
        if not method.learns:
            continue
        screen.working(method.title)
        try:
            outcome = cross_validate(method, folds, screen)
        except (ValueError, FloatingPointError) as error:
            if named:
                raise
            reason = str(error)[:500]
            outcome = Outcome(Tried(name=name, title=method.title, left_out=reason))
        screen.row(outcome.tried)
        outcomes.append(outcome)
    return outcomes


def zero_shot_outcome(method: Method, splits: list[Split], right: dict[str, bool]) -> Outcome:
    """Zero-shot CLIP, whose answers are known by photo."""
    folds = [np.array([right[item.path] for item in split.test]) for split in splits]
    return _outcome(method, {}, folds, np.concatenate(folds), [], 0.0, 0.0)


def cross_validate(method: Method, folds: Folds, screen: Screen) -> Outcome:
    """Train a method on every fold, with each of its settings, as long as the time allows.

    Raises:
        ValueError: If the method does not suit these photos.
    """
    budget, count, settings = folds.budget, len(folds.splits), method.settings
    start = budget.spent()
    runs: list[list[Run]] = [[] for _ in settings]
    for done in range(count * len(settings)):
        fold, number = divmod(done, len(settings))
        most = longest(budget.left(), count, len(settings), budget.refit) if done == 0 else None
        try:
            found = folds.train(method, settings[number], fold, most)
        except OutOfTime as error:
            total = error.seconds + needed(error.seconds, count, len(settings), budget.refit)
            return _left_out(method, total, budget, start)
        runs[number].append(found)
        screen.working(method.title, done + 1, count * len(settings))
        spent = budget.spent() - start
        mean = spent / (done + 1)
        rest = mean * (count * len(settings) - done - 1) + max(mean * growth(count), budget.refit)
        if rest > budget.left() + (SLACK * budget.seconds if done else 0):
            return _left_out(method, spent + rest, budget, start)
    budget.refit = max(budget.refit, mean * growth(count))
    right = [[r.learnt.correct().numpy() for r in setting] for setting in runs]
    number, answers = tuned(right)
    return _outcome(method, settings[number], right[number], answers, runs[number], spent, mean)


def _outcome(
    method: Method,
    chosen: dict,
    right: list[np.ndarray],
    answers: np.ndarray,
    runs: list[Run],
    seconds: float,
    mean: float,
) -> Outcome:
    tried = Tried(
        name=method.name,
        title=method.title,
        settings=chosen,
        folds=[100 * float(fold.mean()) for fold in right if len(fold)],
        result=share(answers),
        seconds=seconds,
    )
    return Outcome(tried, answers, runs, mean)


def _left_out(method: Method, seconds: float, budget: Budget, start: float) -> Outcome:
    """A method that takes so many seconds, begun after ``start``."""
    left = max(0.0, budget.seconds - budget.at_end - start)
    minutes = (start + seconds + budget.at_end) * 1.1 / 60
    wanted = f'{minutes:.1f}' if minutes < 10 else f'{minutes:.0f}'
    reason = f'needs about {spell(seconds)}, {spell(left)} are left'
    tried = Tried(
        name=method.name,
        title=method.title,
        seconds=budget.spent() - start,
        left_out=f'{reason} (--minutes {wanted})',
    )
    return Outcome(tried)
