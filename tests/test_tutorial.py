"""docs/tutorial.md: what it tells the reader to run, run."""

import csv
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.tools import ROOT, tool

TUTORIAL = Path(ROOT, 'docs', 'tutorial.md')
BLOCK = re.compile(r'<!-- run -->\n```(\w*)\n(.*?)```', re.DOTALL)


@pytest.fixture
def blocks(tmp_path, monkeypatch):
    """(language, text) of the marked blocks, in a folder that looks like the repository."""
    for name in ('tools', 'configs'):
        os.symlink(os.path.join(ROOT, name), tmp_path / name)
    monkeypatch.chdir(tmp_path)
    return BLOCK.findall(TUTORIAL.read_text())


def right(table):
    """How many photos of a CSV file are named by their class."""
    with open(table) as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 50
    return sum(Path(row['image']).name.startswith(row['class'] + '_') for row in rows)


def run_here(language, text):
    """Run a block in this process, which has imported everything."""
    if language == 'python':
        exec(compile(text, str(TUTORIAL), 'exec'), {})
        return
    for line in text.replace('\\\n', ' ').splitlines():
        python, script, *arguments = shlex.split(line)
        assert python == 'python'
        tool(Path(script).stem, *arguments)


def check_promises():
    """What the tutorial says about the outcome, with room for other machines."""
    before, after = right('before.csv'), right('after.csv')
    assert before <= 33 and after >= 40
    text = TUTORIAL.read_text()
    assert '27 of 50' in text and '44 of the 50' in text
    assert abs(before - 27) <= 2 and abs(after - 44) <= 4


def test_tutorial(blocks, capsys):
    assert [language for language, _ in blocks] == ['python', '', '', '', '']
    for language, text in blocks:
        try:
            run_here(language, text)
        except SystemExit as end:
            assert not end.code, capsys.readouterr().err
    shown = capsys.readouterr().out
    assert 'WRONG' not in shown
    assert 'python tools/predict.py work_dirs/dpt_tiny_custom/epoch_30.pth IMAGE' in shown
    assert '50 images are divided into 35/0/15' in shown
    check_promises()


@pytest.mark.slow
def test_pasted_into_a_shell(blocks):
    """As a reader would: each block its own process."""
    environment = dict(
        os.environ,
        PYTHONPATH=ROOT,
        PATH=os.pathsep.join([os.path.dirname(sys.executable), os.environ['PATH']]),
    )
    for language, text in blocks:
        command = ['python', '-c', text] if language else ['bash', '-ec', text]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    check_promises()
