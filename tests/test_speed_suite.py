"""The benchmark's suites: parts on their own, results at any moment, the small form on a CPU."""

import json
import os
import subprocess
import sys
import time

import pytest
import torch
from helpers.reference import ReferenceDPT
from helpers.tools import ROOT, tool
from speed import suite as suites
from speed.launches import busy_share
from speed.meter import peak_of
from speed.models import TINY, build, for_three_blocks
from speed.parts import SUITES
from speed.report import table
from speed.setting import Part, Setting, each
from speed.tasks import Task, differences

CPU = Setting('cpu', small=True)


def test_small_form_of_the_gpu_suite(tmp_path):
    command = [sys.executable, f'{ROOT}/tools/benchmark_speed.py', '--suite', 'gpu', '--small']
    command += ['--device', 'cpu', '--golden', f'{ROOT}/tests/data/golden']
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr[-3000:]
    result = json.loads((tmp_path / 'speed_gpu.json').read_text())
    assert result['status'] == 'passed' and list(result['parts']) == list(SUITES['gpu'])
    reasons = {n: p['reason'] for n, p in result['parts'].items() if p['status'] == 'not run'}
    assert {n for n, r in reasons.items() if r == 'needs CUDA'} == {
        'loss scaling',
        *(f'steps {m} graphs' for m in ('dpt', 'coop', 'mmrl', 'twosfs')),
    }
    assert all(r == 'needs CUDA' or 'stands for it' in r for r in reasons.values())
    for name, part in result['parts'].items():
        assert name in reasons or part['status'] == 'passed' and part['rows']
    text = (tmp_path / 'speed_gpu.md').read_text()
    assert (
        text.startswith('# Suite gpu: passed') and '## loss scaling: not run (needs CUDA)' in text
    )


def good(setting):
    yield dict(value=1)


def bad(setting):
    yield dict(value=2)
    raise ValueError('the compiler broke')


def wrong(setting):
    yield dict(value=3, passed=False)


def dies(setting):
    yield dict(value=4)
    time.sleep(0.2)
    os._exit(3)


def hangs(setting):
    yield dict(value=5)
    time.sleep(600)


@pytest.fixture
def toy(monkeypatch, tmp_path):
    parts = dict(good=good, bad=bad, wrong=wrong, dies=dies, hangs=hangs)
    toy = dict(machine=Part(good), **{n: Part(run, 1.0) for n, run in parts.items()})
    toy.update(graphs=Part(good, only_cuda=True), last=Part(good))
    monkeypatch.setitem(SUITES, 'toy', toy)
    monkeypatch.setattr(suites, 'GRACE', 2.0)
    files = [str(tmp_path / name) for name in ('a.json', 'a.md')]
    setting = Setting('cpu')

    def run(minutes=5.0, only=None):
        result = suites.run_suite('toy', setting, minutes, *files, only)
        assert json.loads((tmp_path / 'a.json').read_text()) == result
        return result

    return run


def test_a_part_that_fails_leaves_the_others_alone(toy, tmp_path, capsys):
    result = toy()
    found = {n: (p['status'], len(p['rows'])) for n, p in result['parts'].items()}
    assert result['status'] == 'failed'
    assert found == dict(
        machine=('passed', 1),
        good=('passed', 1),
        bad=('failed', 1),
        wrong=('failed', 1),
        dies=('failed', 1),
        hangs=('too slow', 1),
        graphs=('not run', 0),
        last=('passed', 1),
    )
    assert 'ValueError: the compiler broke' in result['parts']['bad']['reason']
    assert result['parts']['dies']['reason'] == 'the process ended with status 3'
    assert 'failed: bad, wrong, dies, hangs' in capsys.readouterr().out
    assert '| value |' in (tmp_path / 'a.md').read_text()


def test_parts_beyond_the_budget_are_named(toy):
    parts = toy(minutes=0.0)['parts']
    assert {p['status'] for n, p in parts.items() if n != 'machine'} == {'not run'}
    assert 'the 0 minutes were spent' in parts['last']['reason']
    assert toy(only=['last'])['parts']['good']['reason'] == 'not asked for (--only)'


def test_a_cell_that_fails_leaves_the_others_alone():
    def measure(x):
        return dict(inverse=1 / x)

    cells = [dict(x=0), dict(x=2)]
    rows = list(each(cells, measure, CPU))
    assert 'ZeroDivisionError' in rows[0]['error'] and rows[1] == dict(x=2, inverse=0.5)
    late = Setting('cpu', deadline=time.monotonic() - 1)
    assert all('time was spent' in row['not_run'] for row in each(cells, measure, late))


def test_a_part_in_a_fresh_process():
    """As on a GPU, where a fork would not do."""
    found = dict(status='running', rows=[])
    suites.run_part('gpu', 'machine', CPU, 60, found, start='spawn')
    assert found['status'] == 'passed', found
    assert found['rows'][0]['torch'] == str(torch.__version__)


@pytest.mark.parametrize(
    'arguments, message',
    [
        (['--suite', 'gpu', '--method', 'coop'], '--method: of no effect with --suite'),
        (['--small'], '--small: of no effect without --suite'),
        (['--suite', 'gpu', '--only', 'nothing'], 'no part is called nothing'),
        (['--suite', 'dev', '--json', 'a.json'], 'a.json is there already'),
        (['--json', 'a.json'], 'a.json is there already'),
        (['--suite', 'dev', '--golden', 'none'], 'there is no such folder'),
        (['--plain', 'reference', '--method', 'coop'], '--plain reference is DPT'),
    ],
)
def test_what_is_refused(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'a.json').write_text('{}')
    with pytest.raises(SystemExit):
        tool('benchmark_speed', *arguments)
    assert message in capsys.readouterr().err


@pytest.mark.parametrize('part', ['text', 'train_step', 'evaluation'])
@pytest.mark.parametrize('guided', [False, True])
def test_reference_shaped_step_equals_ours(part, guided):
    model = build(12, TINY, 'cpu', 'fp64', for_three_blocks('dpt'))
    task = Task(part, model, 5, 'reference', guided)
    assert max(differences(task, task).values()) < 1e-9


def test_reference_shaped_step_is_dpt():
    model = build(3, TINY, 'cpu', 'fp32', for_three_blocks('coop'))
    with pytest.raises(ValueError, match='choose --method dpt'):
        ReferenceDPT(model, model.frozen_text_features())


def test_busy_share():
    assert busy_share([(0, 1), (3, 4)]) == 0.5
    assert busy_share([(2, 4), (0, 3), (1, 2)]) == 1.0
    assert busy_share([]) == 0.0


def test_peak_of_a_card():
    assert peak_of('NVIDIA H100 80GB HBM3', 'bf16') == 989.0
    assert peak_of('NVIDIA H100 PCIe', 'bf16') == 756.0
    assert peak_of('NVIDIA A100-SXM4-80GB', 'fp32') == 19.5
    assert peak_of('NVIDIA A10', 'fp32') == 31.2
    assert peak_of('Tesla T4', 'bf16') is None
    assert peak_of('NVIDIA T400', 'fp16') is None


def test_table():
    lines = table([dict(a=0.00012345, b=True), dict(a=2, c='x|y')])
    assert lines[2:] == ['| 0.000123 | yes |  |', '| 2 |  | x\\|y |']
