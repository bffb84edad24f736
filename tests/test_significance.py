"""Intervals, paired tests, and the groups of methods in tables."""

import json

import numpy as np
import pytest
from helpers.made_up_runs import change_results, write_run
from helpers.tools import tool

from mmdpt.evaluation.intervals import (
    bootstrap_p,
    holm,
    letters,
    paired_bootstrap,
    resampled,
    wilson,
)
from mmdpt.evaluation.random_effects import Prior, mean_squares, prior_of, random_effects
from mmdpt.results import collect as collect_rows
from mmdpt.results import find_runs
from mmdpt.results.cells import spelt
from mmdpt.results.few_shot_panels import panels
from mmdpt.results.few_shot_plot import LETTER_GAP, draw
from mmdpt.results.groups import add_groups_to_panels, different

SEEDS = (1, 2, 3)


def test_wilson():
    # as statsmodels.stats.proportion.proportion_confint(45, 50, method='wilson')
    assert wilson(45, 50) == pytest.approx((0.786397, 0.956524), abs=1e-5)
    assert wilson(10, 10)[1] <= 1
    """The example of the article in Wikipedia's and R's prop.test(81, 263, correct=FALSE)."""
    assert wilson(81, 263) == pytest.approx((0.2552, 0.3662), abs=2e-4)
    low, high = wilson(0, 10)
    assert low == 0 and high == pytest.approx(1.96**2 / (10 + 1.96**2), abs=1e-4)
    with pytest.raises(ValueError, match='3 of 2'):
        wilson(3, 2)


def slow_bootstrap(a, b, draws, seed):
    """Differences of images and seeds that are drawn one by one."""
    rng, found = np.random.default_rng(seed), []
    for _ in range(draws):
        i, s = rng.integers(0, a.shape[1], a.shape[1]), rng.integers(0, len(a), len(a))
        found.append((a[s][:, i].astype(float) - b[s][:, i]).mean())
    return np.array(found)


def test_bootstrap_is_that_of_images_and_seeds():
    rng = np.random.default_rng(0)
    a, b = rng.random((3, 120)) < 0.8, rng.random((3, 120)) < 0.7
    found, slow = paired_bootstrap(a, b), slow_bootstrap(a, b, 4000, 1)
    assert found.mean == pytest.approx(a.mean() - b.mean())
    fast, (p, half) = resampled(np.stack([a, b])) @ [1, -1], random_effects(a * 1.0 - b)
    low, high = np.quantile(fast, [0.025, 0.975])
    assert (low, high) == pytest.approx(np.quantile(slow, [0.025, 0.975]), abs=0.006)
    share = (np.abs(slow - found.mean) >= abs(found.mean)).mean()
    assert bootstrap_p(found.mean, fast) == pytest.approx(share, abs=0.015)
    assert found.p == max(p, bootstrap_p(found.mean, fast))
    assert found.low == min(low, found.mean - half) and found.high == max(high, found.mean + half)
    assert paired_bootstrap(a, b) == found  # the same draws
    other = paired_bootstrap(b, a)
    assert other.mean == -found.mean and other.p == pytest.approx(found.p, abs=0.01)


def test_bootstrap_of_equal_and_of_very_different_methods():
    rng = np.random.default_rng(0)
    a = rng.random(400) < 0.7
    same = paired_bootstrap(a, a)
    assert (same.mean, same.low, same.high, same.p) == (0, 0, 0, 1)
    assert paired_bootstrap(a, ~a & False).p == pytest.approx(1 / 10_001)
    with pytest.raises(ValueError, match='same images'):
        paired_bootstrap(a, a[:5])


@pytest.mark.parametrize('seeds, low', [(1, 0.02), (5, 0.0)])
def test_bootstrap_holds_its_level(seeds, low):
    """Of 300 pairs that do not differ, about 5 % are called different; of several seeds fewer."""
    rng = np.random.default_rng(1)
    pairs = [rng.random((2, seeds, 400)) < 0.7 for _ in range(300)]
    share = np.mean([paired_bootstrap(a, b, draws=999).p < 0.05 for a, b in pairs])
    assert low <= share < 0.09


def test_seeds_count():
    """A method that wins with one seed and loses with another does not differ."""
    a = np.ones((2, 400), bool)
    b = a.copy()
    b[0, :200] = a[1, :150] = False
    assert abs(paired_bootstrap(a, b).mean) == 0.0625
    assert paired_bootstrap(a, b).p > 0.2 > 0.001 > paired_bootstrap(a[0], b[0]).p


def test_few_seeds_that_differ_much_are_not_taken_for_methods_that_do():
    """Each training is a few points better or worse by chance: about 5 %, and not a quarter, of
    pairs of like methods are called different, and as many of tables of eight."""
    rng = np.random.default_rng(3)

    def trained(*shape, spread=0.05):
        return rng.random((*shape, 600)) < 0.7 + rng.normal(0, spread, (*shape, 1))

    found = [paired_bootstrap(*trained(2, 3), draws=499) for _ in range(150)]
    assert np.mean([one.p < 0.05 for one in found]) < 0.1
    assert np.mean([one.low <= 0 <= one.high for one in found]) > 0.9
    assert sum(different(trained(8, 3, spread=0.08)).any() for _ in range(6)) < 2


def test_random_effects_between_its_ends():
    """Where only seeds differ, it is Student's test of them; where only images do, of those."""
    from scipy.stats import norm, ttest_1samp

    rng = np.random.default_rng(0)
    seeds, images = rng.normal(1, 1, (4, 1)), rng.normal(0.2, 1, (1, 50))
    p, half = random_effects(np.repeat(seeds, 30, axis=1))
    usual = ttest_1samp(seeds[:, 0], 0)
    assert p == pytest.approx(usual.pvalue)
    interval = usual.confidence_interval(0.95)
    assert half == pytest.approx((interval.high - interval.low) / 2)
    error = images.std(ddof=1) / np.sqrt(50)
    p, half = random_effects(np.repeat(images, 3, axis=0))
    assert p == pytest.approx(2 * norm.sf(abs(images.mean()) / error), rel=1e-4)
    assert half == pytest.approx(norm.ppf(0.975) * error, rel=1e-4)
    assert random_effects(np.zeros((3, 5))) == (1, 0)
    assert random_effects(images) == random_effects(seeds) == (0, 0)


def test_what_pairs_say_of_each_other():
    """As many degrees of freedom as the pairs' variances are alike; the freedom is limited by
    how many values there are."""
    rng = np.random.default_rng(1)
    alike = 4.0 * rng.chisquare(2, 4000) / 2
    found = prior_of(list(alike), 2, 56)
    assert found.freedom > 30 and found.square == pytest.approx(4, rel=0.1)
    # variances that differ like 6 degrees of freedom of a scaled inverse chi-square
    unlike = alike / 4 * 6 * 3.0 / rng.chisquare(6, 4000)
    found = prior_of(list(unlike), 2, 56)
    assert found.freedom == pytest.approx(6, rel=0.25) and found.square == pytest.approx(3, rel=0.1)
    assert prior_of([1.0], 2, 56) == prior_of([0.0, 0.0, 2.0], 2, 56) == Prior()


def test_a_table_says_more_than_its_pairs_do():
    """Twenty points are told apart by three seeds, once all methods say how far seeds deviate."""
    rng = np.random.default_rng(2)
    levels = np.array([0.85, 0.84, 0.83, 0.82, 0.65, 0.64, 0.63, 0.62])[:, None, None]
    correct = rng.random((8, 3, 600)) < levels + rng.normal(0, 0.02, (8, 3, 1))
    found = different(correct)
    assert found[:4, 4:].all() and not found[:4, :4].any() and not found[4:, 4:].any()
    one = correct[0] * 1.0 - correct[4]
    own, _ = mean_squares(one)
    p, half = random_effects(one)
    sure, narrow = random_effects(one, prior=Prior(14, own))
    assert sure < p and narrow < half  # the same variance, more certain
    unsure, wide = random_effects(one, prior=Prior(14, 100 * own))
    assert unsure > sure and wide > narrow


def test_holm():
    """R: p.adjust(c(0.01, 0.04, 0.03, 0.005), 'holm')."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0] and holm([]) == []


def test_letters_say_what_differs():
    rng = np.random.default_rng(0)
    for count in (1, 2, 5, 9):
        for share in (0.0, 0.3, 0.7, 1.0):
            different = np.triu(rng.random((count, count)) < share, 1)
            different |= different.T
            found = letters(different)
            for i in range(count):
                assert found[i]
                for j in range(i):
                    assert different[i, j] == (not set(found[i]) & set(found[j]))


def test_many_letters_are_spelt_as_ranges():
    assert spelt('') == '' and spelt('abc') == 'abc' and spelt('abcd') == 'a-d'
    assert spelt('acdefgk') == 'ac-gk' and spelt('xyzAB') == 'x-B' and spelt("YZa'b'") == "Y-b'"


def test_letters_of_a_chain():
    different = np.zeros((3, 3), bool)
    different[0, 2] = different[2, 0] = True
    assert letters(different) == ['a', 'ab', 'b']
    assert letters(~np.eye(60, dtype=bool))[52] == "a'"


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """Three methods, of which two differ by hardly anything."""
    monkeypatch.chdir(tmp_path)
    for seed in SEEDS:
        for method, accuracy in (('good', 0.85), ('alike', 0.848), ('worse', 0.7)):
            write_run(tmp_path / f'{method}_{seed}', method, seed, accuracy)
    return tmp_path


def cells_of(tmp_path, title='4 shots'):
    """Letters of each method in the first column of a table."""
    tables = json.loads((tmp_path / 'out.json').read_text())['tables']
    (table,) = [t for t in tables if t['title'] == title]
    return {row['labels'][0]: row['cells'][0]['letters'] for row in table['rows']}


def collect(*options):
    tool('collect_results', '.', '--json', 'out.json', '--overwrite', *options)


def test_tables_show_groups(runs, capsys):
    collect('--groups', '--markdown', 'out.md', '--latex', 'out.tex')
    assert cells_of(runs) == dict(good='a', alike='a', worse='b', zero_shot='c')
    text, latex = (runs / 'out.md').read_text(), (runs / 'out.tex').read_text()
    assert 'share a letter are not distinguishable' in text and 'share a letter' in latex
    (row,) = [line for line in latex.splitlines() if line.startswith('worse')][:1]
    assert row.endswith(r'b \\') or ' b &' in row
    assert 'no letters' not in capsys.readouterr().err
    collect()
    assert set(cells_of(runs).values()) == {''}
    assert 'letter' not in capsys.readouterr().out


def test_where_there_are_none_is_said(runs, capsys):
    (runs / 'good_1' / 'predictions.npz').unlink()
    file = runs / 'worse_2' / 'predictions.npz'
    data = bytearray(file.read_bytes())
    data[300] ^= 1
    file.write_bytes(data)
    collect('--groups')
    told = capsys.readouterr().err
    assert 'no letters for good (4 shots, Digits): good_1/predictions.npz is not there' in told
    assert 'worse_2/predictions.npz is not what results.json names: it was changed' in told
    assert cells_of(runs) == dict(good='', alike='a', worse='', zero_shot='b')


def test_other_images_are_not_compared(runs, capsys):
    for seed in SEEDS:
        write_run(runs / f'other_{seed}', 'other', seed, 0.9, images=400)
    change_results(runs / 'worse_1', few_shot={'accuracy/top1': 12.0})
    collect('--groups')
    told = capsys.readouterr().err
    assert 'no letters for other (4 shots, Digits): it was tested on other images' in told
    assert 'does not give the accuracy in results.json' in told
    assert cells_of(runs)['good'] == 'a' and cells_of(runs)['other'] == ''


def test_figures_show_groups(runs, capsys):
    (runs / 'good_1' / 'predictions.npz').unlink()
    rows, _ = collect_rows(find_runs([str(runs)]))
    found, notes = panels(rows)
    add_groups_to_panels(found, notes)
    (axis,) = draw(found).axes
    assert [t.get_text() for t in axis.texts] == ['worse b', 'alike a']  # the lowest first
    assert [n for n in notes if 'no letters for good (Digits, 4 shots)' in n]
    heights = [t.get_position()[1] for t in axis.texts]
    assert heights[1] - heights[0] >= LETTER_GAP
    (legend,) = draw(found).legends
    assert 'are not distinguishable' in legend.get_title().get_text().replace('\n', ' ')
    tool('plot_few_shot', '.', '--out', 'lettered.png', '--groups', '--intervals')
    assert 'no letters for good' in capsys.readouterr().err
