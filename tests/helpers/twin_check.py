"""What every twin's case must show."""

import json
import shutil
from functools import cache
from pathlib import Path

import numpy as np
from mmengine.config import Config
from parity import check_folder
from parity.golden import read_npz

from helpers.twin import GOLDEN


@cache
def config():
    """The one that the tool takes the preprocessing from."""
    return Config.fromfile(Path(__file__).resolve().parents[2] / 'configs/_base_/few_shot.py')


def check(folder, cases=None, dtype='float64'):
    """What the tool finds in a folder."""
    return check_folder(folder, config(), cases, dtype)


def check_settings(folder):
    """The tool passes ``case.npz``, and fails each key that it compared once that is another."""
    case = check(folder, ['case'])['case']
    wrong = {k: t for k, t in case['tensors'].items() if not t.get('passed', True)}
    assert case['status'] == 'passed', (case.get('reason'), wrong)
    meta, arrays = read_npz(folder / 'case.npz')
    assert set(case['tensors']) >= set(arrays)
    compared = [k for k in arrays if 'passed' in case['tensors'][k]]
    changed = dict(arrays, **{k: slightly_changed(arrays[k]) for k in compared})
    np.savez(folder / 'case.npz', meta=json.dumps(meta), **changed)
    case = check(folder, ['case'])['case']
    assert case['status'] == 'failed'
    assert [k for k in compared if case['tensors'][k]['passed']] == []


def slightly_changed(array):
    """Another one: no key of a file may be let through."""
    if array.dtype.kind == 'f':
        return array + 1e-5 * (np.abs(array).max() or 1)
    return ~array if array.dtype.kind == 'b' else array + 1


def with_settings(name, change, folder):
    """What the tool finds of a reference file with other settings."""
    meta, arrays = read_npz(GOLDEN / f'{name}.npz')
    np.savez(folder / 'case.npz', meta=json.dumps(dict(meta, **change)), **arrays)
    shutil.copy(GOLDEN / 'clip_tiny.npz', folder)
    return check(folder, ['case'])['case']
