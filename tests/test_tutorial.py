"""docs/tutorial.md: what it tells the reader to run (after <!-- run -->), run."""

import csv
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.doc_blocks import ROOT, commands
from helpers.doc_blocks import blocks as blocks_of
from helpers.tools import tool

TUTORIAL = Path(ROOT, 'docs', 'tutorial.md')
NEW = 48
QUICK = ('--method', 'gda', '--minutes', 100)  # a busy machine changes nothing


@pytest.fixture
def blocks(tmp_path, monkeypatch):
    """Those that are marked, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    found = [block for block in blocks_of(TUTORIAL) if block.marker == 'run']
    assert [block.language for block in found] == ['python', 'bash', 'bash', 'bash']
    return found


def right(table):
    """How many photos of a CSV file are named by their class."""
    with open(table) as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == NEW
    return sum(
        Path(row['image']).name.startswith(row['class'].replace(' ', '-') + '_') for row in rows
    )


def promised():
    """What the page says of the new photos."""
    return int(re.search(rf'(\d+) of the {NEW} new photos', TUTORIAL.read_text()).group(1))


def test_with_one_method(blocks, capsys):
    """In this process, which has imported everything; ``fit`` tries the method it would choose."""
    for block in blocks:
        if block.language == 'python':
            exec(compile(block.text, str(TUTORIAL), 'exec'), {})
            continue
        for _, path, *arguments in commands(block.text):
            name = Path(path).stem
            tool(name, *arguments, *(QUICK if name == 'fit' else ()))
    assert Path('mine', 'report.html').is_file()
    assert Path('suggest.html').is_file()
    assert abs(right('new.csv') - promised()) <= 3


@pytest.mark.slow
def test_pasted_into_a_shell(blocks):
    """As a reader would: each block its own process."""
    environment = dict(
        os.environ,
        PYTHONPATH=str(ROOT),
        PATH=os.pathsep.join([os.path.dirname(sys.executable), os.environ['PATH']]),
    )
    for block in blocks:
        python = block.language == 'python'
        command = ['python', '-c', block.text] if python else ['bash', '-ec', block.text]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    assert right('new.csv') >= promised() - 6  # time decides which methods are tried
