"""Intervals over seeds, and how many seeds a wanted one needs."""

import json

import numpy as np
import pytest
from helpers.grid import write_run
from helpers.tools import refused, tool

from mmdpt.results import all_tables, collect, find_runs
from mmdpt.sweep import job
from mmdpt.utils.intervals import half_width, values_needed
from mmdpt.utils.seal import sealed

COOP = 'configs/coop/coop_tiny_digits_16shot.py'


def test_half_width_is_that_of_the_t_tables():
    assert half_width(1.0, 2) == pytest.approx(12.7062 / 2**0.5, abs=1e-4)
    assert half_width(2.0, 11) == pytest.approx(2 * 2.2281 / 11**0.5, abs=1e-4)
    assert half_width(1.0, 3, level=0.99) == pytest.approx(9.9248 / 3**0.5, abs=1e-4)


def test_intervals_hold_the_mean_as_often_as_they_say():
    draws = np.random.default_rng(0).normal(90.0, 0.8, size=(4000, 3))
    widths = [half_width(s, 3) for s in draws.std(axis=1, ddof=1)]
    share = np.mean(np.abs(draws.mean(axis=1) - 90.0) <= widths)
    assert share == pytest.approx(0.95, abs=0.012)


@pytest.mark.parametrize('deviation', [0.0, 0.3, 0.8, 5.0])
@pytest.mark.parametrize('wanted', [0.1, 0.5, 3.0])
def test_the_fewest_seeds_that_suffice(deviation, wanted):
    found = values_needed(deviation, wanted)
    assert half_width(deviation, found) <= wanted
    assert found == 2 or half_width(deviation, found - 1) > wanted


@pytest.mark.parametrize('wanted', [0.0, -1.0, float('nan'), float('inf')])
def test_widths_that_are_none(wanted):
    with pytest.raises(ValueError, match='must be a number above 0'):
        values_needed(1.0, wanted)


def test_too_many_seeds():
    with pytest.raises(ValueError, match='needs more than 100000 seeds'):
        values_needed(10.0, 1e-3)


def test_tables_show_them(tmp_path, capsys):
    values = {1: 90.0, 2: 91.0, 3: 92.5}
    for seed, accuracy in values.items():
        write_run(tmp_path / 'runs', seed=seed, accuracy=accuracy)
    s = np.std(list(values.values()), ddof=1)
    tables, _ = all_tables(collect(find_runs([str(tmp_path / 'runs')]))[0])
    cells = {labels: cells for table in tables for labels, cells in table.rows}
    assert cells['dpt',][0].interval == pytest.approx(half_width(s, 3))
    assert cells['zero_shot',][0].interval is None
    out = ['--markdown', tmp_path / 't.md', '--latex', tmp_path / 't.tex', '--json', tmp_path / 'j']
    tool('collect_results', tmp_path / 'runs', *out, '--intervals')
    for name in ('t.md', 't.tex'):
        text = (tmp_path / name).read_text()
        assert f'{half_width(s, 3):.2f}' in text and '95' in text and f'{s:.2f}' not in text
    told = [c for t in json.loads((tmp_path / 'j').read_text())['tables'] for c in cells_of(t)]
    assert any(c['interval'] == pytest.approx(half_width(s, 3)) and c['std'] for c in told)
    tool('collect_results', tmp_path / 'runs')
    assert f'± {s:.2f}' in capsys.readouterr().out


def cells_of(table):
    return [cell for row in table['rows'] for cell in row['cells']]


def sweep_file(tmp_path, names=('a', 'b')):
    runs = [
        dict(name=f'{name}_seed{seed}', config=COOP, seed=seed)
        for name in names
        for seed in (1, 2, 3)
    ]
    (tmp_path / 'sweep.py').write_text(f'runs = {runs!r}\n')
    return tmp_path / 'sweep.py'


def test_a_sweep_says_how_many_seeds_are_needed(tmp_path, capsys):
    from mmdpt.sweep.plan import plan_file
    from mmdpt.sweep.state import claim

    file, work = sweep_file(tmp_path), tmp_path / 'work'
    accuracies = {'a_seed1': 90.0, 'a_seed2': 91.0, 'a_seed3': 92.5, 'b_seed1': 80.0}
    for run in plan_file(str(file)):
        if run.name in accuracies:
            claim(run, str(work))
            figures = {'accuracy/top1': accuracies[run.name]}
            path = work / run.name / job.RESULTS
            path.write_text(json.dumps(sealed(dict(few_shot=figures))))
    tool('sweep', file, '--work-dir', work, '--interval', 0.5)
    lines = capsys.readouterr().out.splitlines()
    s = np.std([90.0, 91.0, 92.5], ddof=1)
    needed = values_needed(s, 0.5)
    assert needed > 3
    now = f'{half_width(s, 3):.2f} with 3 seeds (deviation {s:.2f})'
    assert lines[0].split() == f'a 91.17 ± {now}; ± 0.5 needs {needed}'.split()
    assert lines[1].split()[:3] == ['b', '1', 'finished:']
    assert lines[2].endswith(f'--seeds $(seq {needed})')
    assert not list(work.glob('*/sweep.log'))  # nothing was started


def test_a_sweep_refuses_widths_that_are_none(tmp_path, capsys):
    file, work = sweep_file(tmp_path), tmp_path / 'work'
    tool('sweep', file, '--work-dir', work, '--interval', 0.5)
    assert capsys.readouterr().out.count('a deviation needs two seeds') == 2
    line = refused(capsys, 'sweep', file, '--work-dir', work, '--interval', 0)
    assert 'must be a number above 0' in line
