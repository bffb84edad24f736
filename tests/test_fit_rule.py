"""The choice of a method, and the plan of the time: functions of numbers."""

import numpy as np
import pytest

from mmdpt.datasets.split_files import Item
from mmdpt.fitting.budget import Budget, affordable, growth, longest, needed, predicted, spell
from mmdpt.fitting.choice import choose, lead, share, tuned
from mmdpt.fitting.photos import deal, hold_out, thinned, told_of_few

TITLES = dict(zeroshot='Zero-shot CLIP', gda='GDA', dpt='DPT')


def answers(right: int, of: int = 100) -> np.ndarray:
    return np.arange(of) < right


def items(*counts: int) -> list[Item]:
    return [Item(f'{c}/{i}.png', c, f'c{c}') for c, n in enumerate(counts) for i in range(n)]


def test_share_is_wilsons_interval():
    found = share(answers(8, 10))
    assert found.accuracy == pytest.approx(80)
    assert (found.low, found.high) == pytest.approx((49.02, 94.33), abs=0.01)  # by scipy
    perfect = share(answers(10, 10))
    assert perfect.high == perfect.accuracy == 100 and perfect.low == pytest.approx(72.25, abs=0.01)


def test_lead_is_paired():
    best = np.array([True] * 60 + [False] * 40)
    same = best.copy()
    same[:10] = False  # ten images fewer, all others alike
    gap, error = lead(best, same)
    assert gap == pytest.approx(10)
    # of the difference: 10 ones in 100; unpaired it would be sqrt(2) * 5
    assert error == pytest.approx(100 * np.std([1] * 10 + [0] * 90, ddof=1) / 10)
    assert error < 3.1


def test_the_best_wins_if_no_simpler_one_is_near():
    found = choose(dict(zeroshot=answers(50), gda=answers(80), dpt=answers(95)), TITLES)
    assert found.name == 'dpt' and 'no simpler one' in found.why


def test_the_simpler_one_wins_within_a_standard_error():
    rng = np.random.default_rng(0)
    dpt = rng.random(100) < 0.8
    gda = dpt ^ (rng.random(100) < 0.2)  # differs on many images, about as often right
    gap, error = lead(dpt, gda)
    assert abs(gap) <= error or gda.sum() < dpt.sum()
    found = choose(dict(zeroshot=answers(10), gda=gda, dpt=dpt), TITLES)
    assert found.name == ('gda' if gap <= error else 'dpt')
    equal = choose(dict(zeroshot=dpt.copy(), gda=gda, dpt=dpt), TITLES)
    assert equal.name == 'zeroshot'


def test_a_rare_difference_is_within_the_error_only_while_it_is_one_image():
    best = answers(90)
    for worse, name in ((89, 'gda'), (86, 'dpt')):
        assert choose(dict(gda=answers(worse), dpt=best), TITLES).name == name


def test_settings_are_judged_by_folds_that_did_not_choose_them():
    good, bad = np.array([True] * 4), np.array([False] * 4)
    # the first setting is better on two folds of three, the second on one
    number, right = tuned([[good, good, bad], [bad, bad, good]])
    assert number == 0
    # fold 0: the others say 1:1, the first setting; fold 1 likewise; fold 2: 2:0, the first
    assert right.tolist() == [*good, *good, *bad]
    number, right = tuned([[good, bad], [bad, good]])
    assert not right.any(), 'each fold must be answered by what is best on the other one'
    assert tuned([[good]])[1].all()


def test_needed_and_longest_agree():
    for folds, settings, refit in ((5, 1, 0.0), (5, 3, 0.0), (2, 1, 40.0), (3, 2, 500.0)):
        first = longest(600, folds, settings, refit)
        total = first + needed(first, folds, settings, refit)
        assert total == pytest.approx(600)
    assert longest(-3, 5) == 0
    assert longest(10, 5, refit=20) == 0
    assert growth(5) == 1.25 and growth(1) == 1


def test_prediction_of_steps_and_images():
    assert predicted(2.0, 4, 100) == 50
    assert affordable(0.1, 1000, 300) == 1000
    assert affordable(0.5, 1000, 300) == 300
    assert affordable(0.5, 1000, -1) == 0


def test_budget_keeps_time_for_the_end():
    budget = Budget(100, at_end=10)
    assert 85 < budget.left() <= 90
    assert [spell(s) for s in (40, 240, 9000)] == ['40 s', '4 min', '2.5 h']


def test_folds_hold_each_photo_once_and_leave_each_class():
    photos = items(7, 2, 1, 5)
    splits = deal(photos, seed=1)
    tested = [item for split in splits for item in split.test]
    assert len(splits) == 5
    assert sorted(tested) == sorted(item for item in photos if item.label != 2)
    for split in splits:
        assert {item.label for item in split.train} == {0, 1, 2, 3}
        assert not set(split.train) & set(split.test) and split.test
    assert splits == deal(photos, seed=1) and splits != deal(photos, seed=2)
    assert deal(items(1, 1), 1) == []
    assert len(deal(items(2, 2), 1)) == 2


def test_a_quarter_is_held_out_where_a_class_has_enough():
    train, test = hold_out(items(8, 3, 2), 1)
    assert [sum(i.label == c for i in test) for c in range(3)] == [2, 1, 0]
    assert len(train) + len(test) == 13
    assert told_of_few(train, test, ('a', 'b', 'c')) == [
        "'c': fewer than 3 photos, so none is held out; the accuracy says nothing about these "
        'classes'
    ]


def test_words_for_very_few_photos():
    for counts, words in (((2, 2), 'cross-validation'), ((1, 1), 'no accuracy is known')):
        train, test = hold_out(items(*counts), 1)
        assert not test
        assert words in told_of_few(train, test, ('a', 'b'))[0]


def test_a_part_of_the_photos_is_in_each_larger_part():
    photos = items(8, 4, 1)
    parts = [set(thinned(photos, part, 3)) for part in (0.25, 0.5, 0.75, 1)]
    assert [len(part) for part in parts] == [4, 7, 10, 13]
    assert all(small < large for small, large in zip(parts, parts[1:]))
