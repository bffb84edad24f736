"""docs/photos_to_report.ipynb: its cells are run."""

import json
from pathlib import Path

import pytest
from helpers.doc_blocks import ROOT

NOTEBOOK = ROOT / 'docs' / 'photos_to_report.ipynb'
ALL, TIME = 'METHODS = None', 'minutes=5'


def cells():
    """The code of its cells, which hold no outputs."""
    book = json.loads(NOTEBOOK.read_text(encoding='utf-8'))
    code = [cell for cell in book['cells'] if cell['cell_type'] == 'code']
    assert not any(cell['outputs'] for cell in code)
    return [''.join(cell['source']) for cell in code]


def test_its_photos_are_those_of_the_tutorial():
    assert (
        f'<!-- run -->\n```python\n{cells()[0]}\n```\n' in (ROOT / 'docs/tutorial.md').read_text()
    )


@pytest.mark.parametrize('quick', [True, pytest.param(False, marks=pytest.mark.slow)])
def test_runs(quick, tmp_path, monkeypatch, capsys):
    """With one method and time enough for it on a busy machine, and as it is."""
    monkeypatch.chdir(tmp_path)
    names = {}
    assert [ALL in text and TIME in text for text in cells()].count(True) == 1
    for text in cells():
        if quick:
            text = text.replace(ALL, "METHODS = ['gda']").replace(TIME, 'minutes=100')
        exec(compile(text, str(NOTEBOOK), 'exec'), names)
    shown = capsys.readouterr().out
    assert names['result'].chosen.name in names['result'].frame().index
    assert len(names['right']) == 48 and sum(names['right']) > 24
    assert f'{sum(names["right"])} of 48 are right' in shown
    assert Path('mine', 'report.html').as_posix() in shown
