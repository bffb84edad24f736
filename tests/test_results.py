"""From many runs to tables and the figure: what is averaged, marked, refused."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from helpers.grid import write_grid, write_run
from helpers.tools import ROOT, tool

from mmdpt.engine.provenance import package_commit
from mmdpt.results import all_tables, collect, find_runs, read_csv, write_csv
from mmdpt.results.few_shot_panels import panels
from mmdpt.results.few_shot_plot import COLOURS, draw
from mmdpt.results.render import cell_text, latex, markdown, usual_n
from mmdpt.results.row import parse_name
from mmdpt.utils.seal import sealed


def write_protocol(root, protocol, accuracy, **kwargs):
    """The same with a test by a protocol."""
    folder = write_run(root, subset='base' if 'new' in accuracy else 'all', **kwargs)
    results = json.loads((folder / 'results.json').read_text())
    (folder / f'protocol_{protocol}.json').write_text(
        json.dumps(sealed({**results, 'protocol': protocol, 'accuracy': accuracy}))
    )


def tables(root, **kwargs):
    """Texts of all cells by title, labels and column; and all warnings."""
    rows, warnings = collect(find_runs([root]), **kwargs)
    found, more = all_tables(rows)
    usual = usual_n(found)
    texts = {
        (table.title, *labels, column): cell_text(one, usual)
        for table in found
        for labels, cells in table.rows
        for column, one in zip(table.columns, cells)
    }
    return texts, warnings + more


def test_means_deviations_and_a_missing_seed(tmp_path):
    write_grid(tmp_path)
    found, warnings = tables(tmp_path)
    costs = {'seconds': '1.5', 'CPU seconds': '1.2', 'peak MiB': '700'}
    row = {key[2]: text for key, text in found.items() if key[:2] == ('4 shots', 'dpt')}
    # sample deviations: of 90, 92, 94; of 80, 72, 64; of 85, 82, 79
    assert row == costs | dict(
        Digits='92.00 ± 2.00', EuroSAT='72.00 ± 8.00', Average='82.00 ± 3.00'
    )
    assert found['4 shots', 'zero_shot', 'seconds'] == '—'  # nothing was trained
    row = {key[2]: text for key, text in found.items() if key[:2] == ('4 shots', 'coop')}
    # 60 and 62: sqrt(2); no deviation of an average over differing seeds
    assert row == costs | dict(
        Digits='80.00 ± 0.00', EuroSAT='61.00 ± 1.41 (n=2)*', Average='70.50*'
    )
    assert found['4 shots', 'zero_shot', 'Average'] == '40.00'
    assert found['Average by shots', 'dpt', '4 shots'] == '82.00 ± 3.00'
    assert warnings == ['missing: coop, toy, EuroSAT, 4 shots, seed 3']


def test_expected_seeds(tmp_path):
    write_run(tmp_path, seed=1)
    assert tables(tmp_path)[0]['4 shots', 'dpt', 'Digits'] == '50.00'
    found, warnings = tables(tmp_path, seeds=[1, 2, 3])
    assert found['4 shots', 'dpt', 'Digits'] == '50.00*'
    assert warnings == ['missing: dpt, toy, Digits, 4 shots, seed 2, 3']


def write_started(folder, method, seed):
    """What a training that was killed leaves."""
    stamp = '20260101_120000'
    (folder / stamp).mkdir(parents=True)
    (folder / stamp / f'{stamp}.log').write_text('Epoch(train)  [1][1/2]')
    (folder / 'epoch_1.pth').write_bytes(b'')
    (folder / f'{method}_tiny_digits_4shot.py').write_text(
        f"custom_imports = dict(imports=['mmdpt'])\nmodel = dict(arch='toy')\n"
        f"dataset = dict(name='Digits')\nrandomness = dict(seed={seed})\n"
        'train_dataloader = dict(dataset=dict(shots=4))\n'
    )


def test_failed_and_torn_runs(tmp_path):
    write_run(tmp_path, seed=1)
    write_started(tmp_path / 'killed', 'dpt', 2)
    write_started(tmp_path / 'torn', 'coop', 1)
    (tmp_path / 'torn' / 'results.json').write_text('{"few_shot": {"accu')
    write_run(tmp_path, 'dpt', shots=8, seed=2, accuracy=float('nan'))
    log = tmp_path / 'unknown' / '20260101_120000' / '20260101_120000.log'
    log.parent.mkdir(parents=True)
    log.write_text('')
    found, warnings = tables(tmp_path)
    assert found['4 shots', 'dpt', 'Digits'] == '50.00†'
    assert found['4 shots', 'coop', 'Digits'] == 'failed*†'  # no seed 2
    text = '\n'.join(warnings)
    assert (
        'killed: dpt, toy, Digits, 4 shots, seed 2: training started, epoch 1 saved, no '
        'results.json: failed or still running'
    ) in text
    assert 'torn/results.json: coop, toy, Digits, 4 shots, seed 1: cannot be read (JSOND' in text
    assert '8 shots, seed 2: cannot be read (ValueError: an accuracy is nan' in text
    # a run that does not even say what it is changes no table
    assert 'unknown: ?, ?, all images: training started, no epoch saved' in text
    assert {key[1] for key in found} == {'zero_shot', 'dpt', 'coop'}


def test_a_failed_run_that_was_repeated(tmp_path):
    write_run(tmp_path, seed=1)
    write_started(tmp_path / 'killed', 'dpt', 1)
    found, warnings = tables(tmp_path)
    assert found['4 shots', 'dpt', 'Digits'] == '50.00'
    assert len(warnings) == 1 and 'the same experiment, is used' in warnings[0]


def test_tests_are_no_trainings(tmp_path):
    log = tmp_path / 'tested' / '20260101_120000' / '20260101_120000.log'
    log.parent.mkdir(parents=True)
    log.write_text('Epoch(test)  [1/2]')
    with pytest.raises(FileNotFoundError, match='no run in .*neither a results.json'):
        find_runs([tmp_path])
    log.write_text('Testing zero-shot CLIP on 30 images')  # and then it died
    assert [run.status for run in find_runs([tmp_path])] == ['unfinished']
    with pytest.raises(FileNotFoundError, match='nowhere does not exist'):
        find_runs([tmp_path / 'nowhere'])


def test_duplicates(tmp_path):
    first = write_run(tmp_path / 'a', accuracy=50.0, change=dict(finished='2026-01-02'))
    second = write_run(tmp_path / 'b', accuracy=60.0, change=dict(finished='2026-01-01'))
    with pytest.raises(ValueError) as error:
        tables(tmp_path)
    for part in (str(first), str(second), '--latest', 'default_hooks.report.method=NAME'):
        assert part in str(error.value)
    found, warnings = tables(tmp_path, latest=True)
    assert found['4 shots', 'dpt', 'Digits'] == '50.00'
    assert len(warnings) == 1 and 'older than' in warnings[0] and str(second) in warnings[0]
    assert len(find_runs([first, tmp_path / 'a', first / 'results.json'])) == 2  # not 6


def test_different_draws(tmp_path):
    write_run(tmp_path, 'dpt', draw='one')
    write_run(tmp_path, 'coop', draw='two')
    write_run(tmp_path, 'vpt', shots=8)
    found, warnings = tables(tmp_path)
    assert found['4 shots', 'dpt', 'Digits'] == found['4 shots', 'coop', 'Digits'] == '50.00‡'
    assert found['8 shots', 'vpt', 'Digits'] == '50.00'
    assert len(warnings) == 1 and 'seed 1: runs of different draws' in warnings[0]


@pytest.mark.parametrize(
    'difference',
    [
        dict(clip='f2'),
        dict(change=dict(versions=dict(mmdpt='9'))),
        dict(change=dict(commit=dict(commit='c' * 40, dirty=True))),
    ],
)
def test_different_code_or_weights(tmp_path, difference):
    write_run(tmp_path, seed=1)
    write_run(tmp_path, seed=2, accuracy=52.0, **difference)
    found, warnings = tables(tmp_path)
    assert found['4 shots', 'dpt', 'Digits'] == '51.00 ± 1.41‡'
    assert len(warnings) == 1 and 'different versions, commits or CLIP weights' in warnings[0]


def test_references_count_once(tmp_path):
    for seed in (1, 2):
        for method in ('dpt', 'coop'):
            write_run(tmp_path, method, seed=seed, baselines=dict(linear_probe=70.0 + seed))
    runs, _ = collect(find_runs([tmp_path]))
    assert [(r.method, r.shots, r.seed, r.accuracy) for r in runs[:3]] == [
        ('zero_shot', 0, None, 40.0),
        ('linear_probe', 4, 1, 71.0),
        ('linear_probe', 4, 2, 72.0),
    ]
    assert len(runs) == 7
    assert tables(tmp_path)[0]['4 shots', 'linear_probe', 'Digits'] == '71.50 ± 0.71'


def test_figures_of_either_precision_are_one(tmp_path):
    exact = 100 * 825 / 899
    for method, figure in (('dpt', exact), ('coop', float(np.float32(exact)))):
        write_run(tmp_path, method, baselines=dict(linear_probe=figure), zero_shot=figure)
    found, warnings = tables(tmp_path)
    assert found['4 shots', 'linear_probe', 'Digits'] == '91.77' and not warnings
    write_run(tmp_path, 'vpt', baselines=dict(linear_probe=100 * 824 / 899), zero_shot=exact)
    assert '91.66 to 91.77‡' in tables(tmp_path)[0].values()
    _, notes = panels(collect(find_runs([tmp_path]))[0])
    assert any('linear_probe, 4 shots: left out, 91.66 to 91.77 in runs' in n for n in notes)


def test_references_that_differ(tmp_path):
    write_run(tmp_path, 'dpt', zero_shot=40.0)
    write_run(tmp_path, 'coop', zero_shot=41.5)
    write_run(tmp_path, 'promptsrc', zero_shot=30.0, change=dict(templates=['{}', 'a {}']))
    found, warnings = tables(tmp_path)
    assert found['4 shots', 'zero_shot', 'Digits'] == '40.00 to 41.50‡'
    assert found['4 shots', 'zero_shot_2_templates', 'Digits'] == '30.00'
    assert len(warnings) == 1 and '41.50 in ' in warnings[0] and '40.00 in ' in warnings[0]


def test_an_average_that_lacks_a_dataset(tmp_path):
    write_run(tmp_path, 'dpt', 'Digits', accuracy=60.0)
    write_run(tmp_path, 'dpt', 'EuroSAT', accuracy=70.0)
    write_run(tmp_path, 'coop', 'Digits', accuracy=80.0)
    found, _ = tables(tmp_path)
    assert found['4 shots', 'coop', 'EuroSAT'] == '—'
    assert found['4 shots', 'coop', 'Average'] == '80.00 (1 of 2)§'
    assert found['4 shots', 'dpt', 'Average'] == '65.00'


def test_base_to_new(tmp_path):
    for seed, (base, new) in enumerate([(80.0, 60.0), (90.0, 70.0)], 1):
        write_protocol(tmp_path, 'base-to-new', dict(base=base, new=new), seed=seed)
    for seed in (1, 2):
        write_protocol(
            tmp_path, 'base-to-new', dict(base=50.0, new=50.0), seed=seed, dataset='EuroSAT'
        )
    found, warnings = tables(tmp_path)
    row = {key[1:]: text for key, text in found.items() if key[0] == 'base-to-new, 4 shots'}
    assert row['Digits', 'dpt', 'Base'] == '85.00 ± 7.07'
    assert row['Digits', 'dpt', 'New'] == '65.00 ± 7.07'
    # 2 * 85 * 65 / 150; of the seeds: 68.571 and 78.75
    assert row['Digits', 'dpt', 'H'] == '73.67 ± 7.20'
    # 2 * 67.5 * 57.5 / 125, not (73.67 + 50) / 2
    assert row['Average', 'dpt', 'H'].startswith('62.10 ± ') and warnings == []
    # the trainings themselves saw base classes only
    assert found['4 shots, base classes', 'dpt', 'Digits'] == '50.00 ± 0.00'
    assert not any(title == '4 shots' for title, *_ in found)


def test_cross_dataset(tmp_path):
    write_protocol(tmp_path, 'cross-dataset', dict(DTD=40.0, EuroSAT=50.0), dataset='ImageNet')
    write_protocol(tmp_path, 'cross-dataset', dict(DTD=44.0), dataset='ImageNet', method='coop')
    found, _ = tables(tmp_path)
    title = 'cross-dataset from ImageNet, 4 shots'
    assert found[title, 'dpt', 'Average'] == '45.00'
    assert found[title, 'coop', 'Average'] == '44.00 (1 of 2)§'


def test_names_of_methods():
    leaves = [
        path
        for path in Path(ROOT, 'configs').glob('[!_]*/*.py')
        if path.parent.name not in ('mmpretrain', 'sweeps')
    ]
    assert len(leaves) > 60
    for path in leaves:
        method, arch, dataset = parse_name(path)
        assert method.startswith(path.parent.name) and arch and dataset in path.stem
    assert parse_name('clip_adapter_vitb16_eurosat_16shot.py') == (
        'clip_adapter',
        'vitb16',
        'eurosat',
    )
    assert parse_name('my_own_config.py') == ('my_own_config', '', '')


def test_several_clips_are_told_apart(tmp_path):
    write_run(tmp_path / 'a')
    write_run(tmp_path / 'b', change=dict(clip=dict(arch='big', fingerprint='f2')), accuracy=90.0)
    found, _ = tables(tmp_path)
    assert found['4 shots', 'dpt (toy)', 'Digits'] == '50.00'
    assert found['4 shots', 'dpt (big)', 'Digits'] == '90.00'


def test_csv_there_and_back(tmp_path):
    write_grid(tmp_path / 'runs')
    rows, _ = collect(find_runs([tmp_path / 'runs']))
    write_csv(rows, tmp_path / 'runs.csv')
    assert read_csv(tmp_path / 'runs.csv') == rows
    assert {row.draw_hash for row in rows if row.seed == 1} == {'Digits-all-4-1', 'EuroSAT-all-4-1'}
    assert rows[-1].commit == 'c' * 40 and rows[-1].mmdpt
    (tmp_path / 'other.csv').write_text('a,b\n1,2\n')
    with pytest.raises(ValueError, match='no column accuracy, dataset, method, seed, shots'):
        read_csv(tmp_path / 'other.csv')
    (tmp_path / 'bad.csv').write_text('method,dataset,shots,seed,accuracy\nd,D,four,1,2\n')
    with pytest.raises(ValueError, match="bad.csv, line 2: .*'four'"):
        read_csv(tmp_path / 'bad.csv')


def test_markdown_and_latex(tmp_path):
    write_grid(tmp_path)
    rows, warnings = collect(find_runs([tmp_path]))
    found, _ = all_tables(rows)
    text = markdown(found, rows, warnings)
    assert '| coop | 80.00 ± 0.00 | 61.00 ± 1.41 (n=2)* | 70.50* | 1.5 | 1.2 | 700 |' in text
    for part in (
        'n = 3 where not said',
        '* seeds are missing',
        '- missing: coop',
        'c' * 40,
        '| Digits | all | 4 | 1 | Digits-all-4-1 |',
        'CLIP weights f1',
    ):
        assert part in text
    text = latex(found, rows, warnings)
    row = r'coop & 80.00 $\pm$ 0.00 & 61.00 $\pm$ 1.41 (n=2)$^{*}$ & 70.50$^{*}$'
    assert row + r' & 1.5 & 1.2 & 700 \\' in text
    assert r'zero\_shot & 40.00' in text and '% missing: coop' in text
    assert text.count(r'\begin{table}') == text.count(r'\end{table}') == 2


@pytest.mark.slow  # wall-clock time
def test_a_thousand_runs(tmp_path):
    """Without torch, which would take longer than all else."""
    names = [f'data{i}' for i in range(10)]
    for seed in (1, 2, 3, 4):
        for shots in (1, 2, 4, 8, 16):
            for dataset in names:
                for method in 'abcde':
                    write_run(
                        tmp_path / 'runs',
                        method,
                        dataset,
                        shots,
                        seed,
                        50.0 + seed,
                        baselines=dict(linear_probe=60.0 + seed),
                    )
    began = time.perf_counter()
    done = subprocess.run(
        [
            sys.executable,
            '-X',
            'importtime',
            f'{ROOT}/tools/collect_results.py',
            str(tmp_path / 'runs'),
            '--csv',
            'all.csv',
            '--markdown',
            'all.md',
            '--latex',
            'all.tex',
            '--json',
            'all.json',
        ],
        cwd=tmp_path,
        env={**os.environ, 'PYTHONPATH': ROOT},
        capture_output=True,
        text=True,
        check=True,
    )
    seconds = time.perf_counter() - began
    print(f'{seconds:.2f} s for 1,000 runs')
    assert seconds < 10
    assert '| torch' not in done.stderr and '| mmengine' not in done.stderr
    rows = read_csv(tmp_path / 'all.csv')
    assert len(rows) == 1000 + 200 + 10  # runs, linear probes of the draws, zero-shot
    results = json.loads((tmp_path / 'all.json').read_text())
    assert len(results['runs']) == 1210 and results['warnings'] == []
    # 51, 52, 53, 54: the deviation is the root of 5 / 3
    assert '| a | 52.50 ± 1.29 |' in (tmp_path / 'all.md').read_text()
    assert 'a & 52.50 $\\pm$ 1.29 &' in (tmp_path / 'all.tex').read_text()


def test_errors_of_the_tools(tmp_path):
    write_run(tmp_path / 'a')
    write_run(tmp_path / 'b')
    with pytest.raises(SystemExit, match='error: .* are both dpt, toy, Digits, 4 shots, seed 1'):
        tool('collect_results', tmp_path)
    with pytest.raises(SystemExit, match='cannot write .*there is no folder'):
        tool('collect_results', tmp_path / 'a', '--csv', tmp_path / 'no' / 'a.csv')
    with pytest.raises(SystemExit, match='must end in .png, .pdf or .svg'):
        tool('plot_few_shot', tmp_path / 'a', '--out', tmp_path / 'a.jpeg')
    with pytest.raises(SystemExit, match="no run of the method 'dtp': there is zero_shot, dpt"):
        tool('plot_few_shot', tmp_path / 'a', '--out', tmp_path / 'a.png', '--methods', 'dtp')


def write_figure_runs(root):
    """'coop' lacks EuroSAT with 16 shots, and a seed of Digits with 1 shot."""
    for shots, base in ((1, 50.0), (4, 60.0), (16, 80.0)):
        for seed in (1, 2):
            write_run(root, 'dpt', 'Digits', shots, seed, base + 2 * seed)
            write_run(root, 'dpt', 'EuroSAT', shots, seed, base - 2 * seed, zero_shot=30.0)
            if (shots, seed) != (1, 2):
                write_run(root, 'coop', 'Digits', shots, seed, base)
            if shots < 16:
                write_run(root, 'coop', 'EuroSAT', shots, seed, base, zero_shot=30.0)


def test_figure_data(tmp_path):
    write_figure_runs(tmp_path)
    rows, _ = collect(find_runs([tmp_path]))
    found, notes = panels(rows)
    figure = draw(found)
    titles = [axis.get_title() for axis in figure.axes]
    assert titles == ['Average', 'Digits', 'EuroSAT'] and len(figure.legends) == 1
    lines = [
        {line.get_label(): (list(line.get_xdata()), list(line.get_ydata())) for line in axis.lines}
        for axis in figure.axes
    ]
    # evenly spaced; the star at 0
    assert lines[1]['dpt'] == ([1, 2, 3], [53.0, 63.0, 83.0])
    assert lines[1]['zero_shot'] == ([0], [40.0]) and lines[0]['zero_shot'] == ([0], [35.0])
    assert lines[0]['dpt'] == ([1, 2, 3], [50.0, 60.0, 80.0])
    assert lines[0]['coop'] == ([1, 2], [50.0, 60.0])  # not with 16 shots
    assert [t.get_text() for t in figure.axes[1].get_xticklabels()] == ['0', '1', '4', '16']
    band = figure.axes[1].collections[1].get_paths()[0].vertices  # of dpt: 52 and 54
    assert band[:, 1].max() == pytest.approx(83 + 2**0.5)
    assert band[:, 1].min() == pytest.approx(53 - 2**0.5)
    wide = draw(found, intervals=True).axes[1].collections[1].get_paths()[0].vertices
    assert wide[:, 1].max() == pytest.approx(83 + 12.706, abs=1e-3)  # t(1 degree) s / sqrt(2)
    assert any('Average, coop, 16 shots: left out, without a result on EuroSAT' in n for n in notes)
    assert any('Digits, coop, 1 shots: drawn from seeds 1 only, without 2' in n for n in notes)


def test_figure_is_written_and_told_apart(tmp_path, capsys):
    write_figure_runs(tmp_path / 'runs')
    for name in ('f.png', 'f.pdf'):
        tool('plot_few_shot', tmp_path / 'runs', '--out', tmp_path / name)
    assert (tmp_path / 'f.png').read_bytes().startswith(b'\x89PNG')
    assert (tmp_path / 'f.pdf').read_bytes().startswith(b'%PDF')
    told = capsys.readouterr()
    assert '3 panels' in told.out and 'warning: Average, coop, 16 shots: left out' in told.err
    rows, _ = collect(find_runs([tmp_path / 'runs']))
    figure = draw(panels(rows, ['dpt', 'coop'], ['Digits'])[0])
    first, second = figure.axes[0].lines
    assert len(figure.axes) == 1 and {first.get_color(), second.get_color()} == set(COLOURS[:2])
    assert first.get_linestyle() != second.get_linestyle()
    assert first.get_marker() != second.get_marker()


def test_package_commit(tmp_path):
    def git(*args):
        return subprocess.run(
            ['git', '-C', tmp_path, '-c', 'user.name=n', '-c', 'user.email=e', *args],
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()

    package = tmp_path / 'package'
    package.mkdir()
    (package / '__init__.py').write_text('')
    assert package_commit(package) is None  # no checkout
    git('init')
    assert package_commit(package) is None  # a checkout of something else
    git('add', '.')
    git('commit', '-m', 'first')
    assert package_commit(package) == dict(commit=git('rev-parse', 'HEAD'), dirty=False)
    (tmp_path / 'results').write_text('untracked')
    assert package_commit(package)['dirty'] is False
    (package / '__init__.py').write_text('changed = 1')
    assert package_commit(package)['dirty'] is True


def test_runs_of_a_sweep(tmp_path):
    """The method without the seed; an evaluation's figure; a linear probe of
    its own beside that which other runs report."""
    assert parse_name('a/tip_adapter_f_tiny_digits_8shot_seed2.py') == (
        'tip_adapter_f',
        'tiny',
        'digits',
    )
    write_run(tmp_path, 'dpt', seed=1, baselines=dict(linear_probe=61.0), zero_shot=40.0)
    folder = write_run(tmp_path, 'linear_probe', seed=1, accuracy=61.0, zero_shot=40.0)
    clip = json.loads((folder / 'results.json').read_text())['clip']
    (tmp_path / 'ensemble').mkdir()
    (tmp_path / 'ensemble' / 'results.json').write_text(
        json.dumps(
            sealed(
                dict(
                    config='zeroshot_ensemble_tiny_digits.py',
                    evaluation_only=True,
                    benchmark='Digits',
                    clip=clip,
                    shots=None,
                    seed=None,
                    few_shot=None,
                    zero_shot={'accuracy/top1': 45.0},
                )
            )
        )
    )
    found, warnings = tables(tmp_path)
    cells = {key[1:]: text for key, text in found.items() if key[0] == 'Digits by shots'}
    assert cells['linear_probe', '4 shots'] == '61.00' and cells['zero_shot', '0 shots'] == '40.00'
    assert cells['zero_shot_ensemble', '0 shots'].startswith('45.00')
    assert not [w for w in warnings if 'linear_probe' in w]


def test_results_without_a_clip_are_of_their_config_s(tmp_path):
    """Zero-shot CLIP that a sweep tests, and MMPretrain's classifier on our tower, whose results
    name no CLIP: the config beside them does. One name, so one row, and no name in brackets."""
    write_run(tmp_path, 'dpt', seed=1, zero_shot=45.0, change=dict(clip=dict(arch='mmdpt-tiny')))
    about = dict(benchmark='Digits', shots=None, seed=None, few_shot=None)
    for method, model, results in (
        (
            'zeroshot',
            dict(arch='mmdpt-tiny'),
            dict(about, evaluation_only=True, zero_shot={'accuracy/top1': 45.0}),
        ),
        (
            'vpt_linear',
            dict(type='ImageClassifier', backbone=dict(arch='mmdpt-tiny')),
            dict(about, shots=4, seed=1, clip=None, few_shot={'accuracy/top1': 60.0}),
        ),
    ):
        folder = tmp_path / method
        folder.mkdir()
        config = folder / f'{method}_tiny_digits.py'
        config.write_text(f'model = {model!r}')
        (folder / 'results.json').write_text(json.dumps(sealed(dict(results, config=str(config)))))
    rows, warnings = collect(find_runs([str(tmp_path)]))
    assert {row.arch for row in rows} == {'mmdpt-tiny'} and not warnings
    assert [row.method for row in rows] == ['zero_shot', 'dpt', 'vpt_linear']
    ((panel,), left_out) = panels(rows, ['zero_shot', 'dpt', 'vpt_linear'])
    assert panel.stars == {'zero_shot': [45.0]} and not left_out
