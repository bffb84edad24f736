"""Runs a tool in this process."""

import importlib.util
import os.path as osp
import sys

import pytest

ROOT = osp.dirname(osp.dirname(osp.dirname(osp.abspath(__file__))))


def tool(name, *arguments):
    """Runs tools/NAME.py in this process, as from the command line."""
    path = osp.join(ROOT, 'tools', f'{name}.py')
    spec = importlib.util.spec_from_file_location(f'tool_{name}', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    before = sys.argv
    sys.argv = [path, *map(str, arguments)]
    try:
        module.main()
    finally:
        sys.argv = before


def refused(capsys, name, *arguments):
    """Runs a tool that must end with one line on the screen; returns it."""
    with pytest.raises(SystemExit) as end:
        tool(name, *arguments)
    assert end.value.code == 1
    line, hint = capsys.readouterr().err.strip().splitlines()[-2:]
    assert line.startswith('error: ') and '--debug' in hint
    return line
