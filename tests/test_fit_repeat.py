"""The repeated cross-validation of methods that one cannot tell apart."""

from types import SimpleNamespace

import numpy as np
import pytest

from mmdpt.datasets.split_files import Item
from mmdpt.fitting import repeat
from mmdpt.fitting.budget import Budget
from mmdpt.fitting.choice import choose, share
from mmdpt.fitting.compare import Folds, Outcome
from mmdpt.fitting.photos import deal
from mmdpt.results.fit_schema import Tried

ITEMS = [Item(f'{c}/{i}.png', c, f'c{c}') for c in range(5) for i in range(20)]
CHANCE = dict(zeroshot=0.1, gda=0.4, dpt=0.6)  # of a right answer, the same for each photo
N = np.arange(len(ITEMS))
# 5 points apart: 30 photos speak for DPT, 25 for GDA, so the standard error is 7.5
FIRST = dict(zeroshot=N < 10, gda=N < 45, dpt=(N >= 25) & (N < 75))


class Trainings:
    """Methods that answer each photo rightly by chance, in no time."""

    def __init__(self, monkeypatch, seconds=80.0, left=1000.0):
        self.rng, self.done, self.seconds = np.random.default_rng(0), [], seconds
        self.budget = Budget(left)
        setting = SimpleNamespace(seed=1)
        self.folds = Folds(deal(ITEMS, 1), setting, self.budget, '')
        self.photos = SimpleNamespace(train=ITEMS)
        self.screen = SimpleNamespace(working=lambda *what: None)
        monkeypatch.setattr(repeat, 'cross_validate', self.cross_validate)

    def cross_validate(self, method, folds, screen=None):
        self.done.append((method.name, [split.test for split in folds.splits]))
        self.budget.start -= self.seconds
        again = folds.splits != self.folds.splits
        right = self.rng.random(len(N)) < CHANCE[method.name] if again else FIRST[method.name]
        tried = dict(name=method.name, title=method.title, seconds=self.seconds)
        return Outcome(Tried(**tried, result=share(right)), right, ['a run'])

    def settled(self):
        first = [self.cross_validate(repeat.METHODS[name], self.folds) for name in CHANCE]
        self.done.clear()
        repeat.settle(first, self.folds, self.photos, self.screen)
        return {o.tried.name: o for o in first}


def test_repeats_tell_apart_what_once_does_not(monkeypatch):
    trainings = Trainings(monkeypatch)
    first = {n: trainings.cross_validate(repeat.METHODS[n], trainings.folds) for n in CHANCE}
    assert repeat.in_doubt(first) == repeat.Doubt(('gda', 'dpt'), 2)
    repeat.settle([*first.values()], trainings.folds, trainings.photos, trainings.screen)
    times = {name: o.tried.repeats for name, o in first.items()}
    assert times['zeroshot'] == 1 and 2 <= times['gda'] == times['dpt'] <= repeat.MOST
    titles = {name: name for name in first}
    assert choose({n: o.right for n, o in first.items()}, titles).name == 'dpt'
    assert first['dpt'].runs == ['a run'], 'the calibration is of the first folds'


def test_each_time_with_other_folds_for_both_methods(monkeypatch):
    trainings = Trainings(monkeypatch)
    trainings.settled()
    dealt = {name: [f for n, f in trainings.done if n == name] for name in ('gda', 'dpt')}
    assert dealt['gda'] == dealt['dpt']
    every = [trainings.folds.splits, *dealt['gda']]
    assert all(a != b for i, a in enumerate(every) for b in every[:i])


def test_answers_are_averaged_photo_by_photo(monkeypatch):
    trainings = Trainings(monkeypatch)
    again = Folds(deal(ITEMS, 2), *[None] * 3)
    outcome = trainings.cross_validate(repeat.METHODS['gda'], trainings.folds)
    before = dict(zip((i.path for s in trainings.folds.splits for i in s.test), outcome.right))
    found = trainings.cross_validate(repeat.METHODS['gda'], again)
    other = dict(zip((i.path for s in again.splits for i in s.test), found.right))
    repeat.add(outcome, found, trainings.folds, again)
    mean = {path: (float(before[path]) + other[path]) / 2 for path in before}
    assert outcome.right.tolist() == list(mean.values())
    assert outcome.tried.repeats == 2 and outcome.tried.seconds == 160
    assert outcome.tried.result.accuracy == pytest.approx(100 * np.mean([*mean.values()]))


def test_nothing_is_begun_that_the_time_does_not_allow(monkeypatch):
    trainings = Trainings(monkeypatch, seconds=80, left=3 * 80 + 87 + 5)
    found = trainings.settled()  # one needs 80 s and a tenth
    assert not trainings.done and {o.tried.repeats for o in found.values()} == {1}
