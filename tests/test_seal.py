"""Results that were edited are named, and neither tabulated nor taken for finished."""

import json
import math
import os
from pathlib import Path

import pytest
from helpers.grid import write_run
from helpers.tools import tool

from mmdpt.results import all_tables, collect, find_runs
from mmdpt.results.render import latex, markdown
from mmdpt.sweep.job import read_results
from mmdpt.utils.seal import SEAL, check_seal, checksum, read_sealed, sealed

KEY = 'accuracy/top1'
VALUES = [99.99, math.nan, math.inf, -math.inf, 250, -1, True, None, '91.8', [91.8], {}, 1e308]
PLACES = [('few_shot', KEY), ('zero_shot', KEY), ('baselines', 'linear_probe')]
FIELDS = dict(
    shots=[-1, 1.5, True, '4', [4], {}, 10**30],
    seed=[-1, 1.5, True, '1', [1], 10**30],
    method=[1, [], {}, 'x' * 10**5],
    benchmark=[1, [], {}],
    subset=[1, []],
    epochs=['50', -1, True, [1]],
    train_seconds=['1', -1.0, math.nan, True],
    train_cpu_seconds=['1', -1.0],
    peak_memory_mib=['1', -1.0],
    versions=[1, [], {'torch': 1}],
    commit=['c', [], {'commit': 1}],
    clip=['c', [], {'arch': 1}],
    templates=[1, {}, [1]],
    finished=[1, []],
    few_shot=[None, 1, [], {}, {'other': 1.0}],
    baselines=[1, []],
)


def run(tmp_path, change=None):
    """The file of a run, as it is written, and then changed by an honest program."""
    folder = write_run(tmp_path / 'runs', baselines=dict(linear_probe=61.0))
    path = folder / 'results.json'
    if change:
        path.write_text(json.dumps(sealed({**json.loads(path.read_text()), **change})))
    return path


def refused(path, why):
    """What find_runs says of a file that it names, and does not tabulate."""
    (row,) = find_runs([str(path)])
    assert row.status == 'damaged' and row.accuracy is None and why in row.note, row
    rows, warnings = collect([row])
    tables, _ = all_tables(rows)
    text = markdown(tables, rows, warnings)
    assert any(str(path) in line for line in warnings)
    assert '99.99' not in text.split('### Warnings')[0]
    latex(tables, rows, warnings)
    return text


@pytest.mark.parametrize('place', PLACES)
@pytest.mark.parametrize('value', VALUES, ids=str)
def test_an_edited_figure(value, place, tmp_path):
    path = run(tmp_path)
    results = json.loads(path.read_text())
    results[place[0]][place[1]] = value
    path.write_text(json.dumps(results))
    refused(path, 'it was edited: its checksum is wrong')
    assert read_results(str(path.parent)) is None
    del results[SEAL]
    path.write_text(json.dumps(results))
    refused(path, 'it has no checksum')
    assert read_results(str(path.parent)) is None
    for seal in (None, '', 0, True, [], checksum({})):
        path.write_text(json.dumps({**results, SEAL: seal}))
        refused(path, 'it was edited')
    if value != 99.99:  # also where somebody computed the checksum anew
        path.write_text(json.dumps(sealed(results)))
        refused(path, 'is')
        if place[0] == 'few_shot':
            assert read_results(str(path.parent)) is None


@pytest.mark.parametrize('name, value', [(n, v) for n, some in FIELDS.items() for v in some])
def test_an_impossible_field(name, value, tmp_path):
    """With a right checksum, too: one line, and no traceback."""
    refused(run(tmp_path, {name: value}), name)


@pytest.mark.parametrize(
    'text',
    ['', '[]', '1', 'null', '"x"', '{}', '{', '[' * 10**5, '{"a":' * 10**5, '{"protocol": []}'],
    ids=lambda text: text[:9],
)
def test_no_results_at_all(text, tmp_path):
    path = run(tmp_path)
    path.write_text(text)
    refused(path, 'cannot be read')
    assert read_results(str(path.parent)) is None


def test_bytes_that_are_no_text_or_too_many(tmp_path):
    path = run(tmp_path)
    for content in (b'\xff\xfe{}', b'{"a": "' + b'x' * 2**24 + b'"}'):
        path.write_bytes(content)
        refused(path, 'cannot be read')
    path.unlink()
    os.mkfifo(path)  # opening it would wait for ever
    (row,) = find_runs([str(path.parent)])
    assert row.status == 'damaged' and 'it is no file' in row.note


def test_whole_results_are_believed(tmp_path):
    path = run(tmp_path)
    check_seal(read_sealed(str(path)))
    assert read_results(str(path.parent))['few_shot'] == {KEY: 50.0}
    assert [row.accuracy for row in find_runs([str(path)])] == [50.0, 40.0, 61.0]
    # another form of the same content, as a formatter leaves it
    path.write_text(json.dumps(json.loads(path.read_text()), indent=4, sort_keys=True))
    assert [row.status for row in find_runs([str(path)])] == ['ok'] * 3


def test_results_of_before(tmp_path, capsys):
    """Without a checksum: only when asked for."""
    path = run(tmp_path)
    results = json.loads(path.read_text())
    del results[SEAL]
    path.write_text(json.dumps(results))
    tool('collect_results', tmp_path)
    shown = capsys.readouterr()
    assert 'mmdpt 0.1 wrote it, or it was edited' in shown.err and '50.00' not in shown.out
    tool('collect_results', tmp_path, '--unsealed')
    assert '50.00' in capsys.readouterr().out
    results['few_shot'][KEY] = 250.0
    path.write_text(json.dumps(results))
    tool('collect_results', tmp_path, '--unsealed')
    assert 'an accuracy is 250.0' in capsys.readouterr().err


HOSTILE = '<img src=x onerror=alert(1)>|a`b`*c*[d](e)\n### 99.99 | 99.99 |\x1b[2J\u202e'


def test_tables_show_what_names_are(tmp_path, capsys):
    run(tmp_path, dict(method=HOSTILE, benchmark=HOSTILE, versions=dict(torch=HOSTILE)))
    tool(
        'collect_results', tmp_path, '--markdown', tmp_path / 'a.md', '--latex', tmp_path / 'a.tex'
    )
    shown = capsys.readouterr()
    text = (tmp_path / 'a.md').read_text()
    assert all(line.isprintable() for line in [*text.splitlines(), *shown.out.splitlines()])
    assert not [line for line in text.splitlines() if line.startswith('### 99.99')]
    for mark in '<>`[]':
        assert text.count(mark) == text.count('\\' + mark) > 0, mark
    tables = [line for line in text.splitlines() if line.startswith('| ')]
    columns = {line.replace('\\\\', '').replace('\\|', '').count('|') for line in tables}
    assert len(tables) > 6 and columns == {4, 6}  # method and figures, or costs; the draws
    lines = Path(tmp_path / 'a.tex').read_text().splitlines()
    assert all(line.isprintable() for line in lines)


def test_a_lone_surrogate(tmp_path, capfd):
    run(tmp_path, dict(method='a\udce9b'))
    tool('collect_results', tmp_path)
    assert 'a\\\\udce9b' in capfd.readouterr().out
