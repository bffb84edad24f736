"""How good a run is, beside frozen CLIP and the other methods."""

from collections.abc import Sequence

import torch

from mmdpt.engine.report import NAMES
from mmdpt.evaluation.intervals import paired_bootstrap, wilson, wilson_percent
from mmdpt.evaluation.predictions import Predictions
from mmdpt.results.fit_schema import Fit

from .content import Accuracy, Difference
from .run import FOLDS, RunFolder

ZERO_SHOT = 'zero-shot CLIP'
TOP1 = 'accuracy/top1'


def accuracies(run: RunFolder) -> list[Accuracy]:
    """The run's own accuracy, zero-shot CLIP's, and those of what else was tried."""
    found = [counted(run.method, 'model', run.predictions.correct(), run.measured_on)]
    reference = run.results.get('zero_shot')
    if run.zero_shot is not None and not run.is_zero_shot:
        correct = run.zero_shot.correct()
        found.append(counted(ZERO_SHOT, 'zero-shot', correct, run.measured_on))
    elif reference and run.zero_shot is None:
        found.append(_told(ZERO_SHOT, 'zero-shot', reference[TOP1], run.results['test_images']))
    for name, percent in (run.results.get('baselines') or {}).items():
        found.append(_told(name.replace('_', ' '), 'other', percent, run.results['test_images']))
        found[-1].note = NAMES.get(name, '')
    return found + (_tried(run.fit) if run.fit else [])


def counted(name: str, role, correct: torch.Tensor, measured_on: str = '') -> Accuracy:
    """Accuracy of what is known photo by photo, (N,) bool."""
    right, images = int(correct.sum()), len(correct)
    low, high = wilson(right, images)
    return Accuracy(
        name=name,
        role=role,
        percent=100 * right / images,
        low=100 * low,
        high=100 * high,
        images=images,
        measured_on=measured_on,
    )


def _told(name: str, role, percent: float, images: int) -> Accuracy:
    """Accuracy of which a file tells the figure alone."""
    low, high = wilson_percent(percent, images)
    return Accuracy(name=name, role=role, percent=percent, low=low, high=high, images=images)


def _tried(fit: Fit) -> list[Accuracy]:
    """The methods that ``mmdpt fit`` compared, on the photos of its folds."""
    found = []
    for tried in fit.methods:
        one = Accuracy(
            name=tried.title,
            role='other',
            measured_on=FOLDS,
            seconds=tried.seconds or None,
            note=tried.left_out or ('chosen' if tried.name == fit.chosen.name else ''),
        )
        if tried.result is not None:
            one.percent, one.images = tried.result.accuracy, tried.result.images
            one.low, one.high = tried.result.low, tried.result.high
        found.append(one)
    return found


def difference(of: str, first: Predictions, to: str, second: Predictions) -> Difference:
    """Compare two models on the same photos, in the same order."""
    a, b = first.correct(), second.correct()
    found = paired_bootstrap(a.numpy(), b.numpy())
    return Difference(
        of=of,
        to=to,
        points=100 * found.mean,
        low=100 * found.low,
        high=100 * found.high,
        p=found.p,
        images=len(a),
        only_of=int((a & ~b).sum()),
        only_to=int((b & ~a).sum()),
    )


def verdict(found: Difference) -> str:
    """One sentence about a difference."""
    points = f'{abs(found.points):.1f} points'
    interval = f'95 % interval {found.low:+.1f} to {found.high:+.1f}'
    if found.low > 0:
        return f'It is better than {found.to} by {points} ({interval}).'
    if found.high < 0:
        return f'It is worse than {found.to} by {points} ({interval}).'
    return f'It cannot be told from {found.to}: {found.points:+.1f} points ({interval}).'


def best_other(found: Sequence[Accuracy]) -> str | None:
    """One sentence about the best of the other classifiers on the same test photos."""
    others = [a for a in found if a.role == 'other' and a.percent is not None and not a.measured_on]
    if not others:
        return None
    best = max(others, key=lambda a: a.percent or 0)
    place = 'above it' if (best.percent or 0) > (found[0].percent or 0) else 'not above it'
    return (
        f'Of what was compared on the same photos, {best.name} has {best.percent:.1f} %, {place}.'
    )


def check_agreement(run: RunFolder, found: Sequence[Accuracy]) -> list[str]:
    """Warn of predictions that are not those of the results."""
    said = (run.results.get('few_shot') or {}).get(TOP1)
    if said is None or abs(said - (found[0].percent or 0)) < 0.05:
        return []
    return [
        f'results.json says {said:.2f} %, predictions.npz gives {found[0].percent:.2f} %: they are '
        'of different tests. This page is made from predictions.npz.'
    ]
