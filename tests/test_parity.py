import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers.tools import tool
from mmengine.config import Config
from parity import check_folder
from parity.compare import compare, judge_run
from parity.golden import read_npz

ROOT = Path(__file__).resolve().parents[1]
GOLDEN = ROOT / 'tests/data/golden'
CASES = (
    'dpt_last',
    'dpt_two_topk',
    'dpt_csc_front',
    'vlp',
    'vpt_deep',
    'coop_end',
    'coop_middle',
    'coop_front_csc',
    'cocoop',
    'zeroshot',
    'maple',
    'maple_full',
    'promptsrc',
    'kgcoop',
    'prograd_conflict',
    'prograd_aligned',
    'clip_adapter',
    'tip_adapter',
    'tip_adapter_f',
    'clip_lora',
    'linear_probe',
    'tcp',
    'tcp_words',
    'tcp_short',
    'mmrl',
    'mmrl_gap',
    'mmrlpp',
    'mmrlpp_gap',
    'twosfs_stage1',
    'twosfs_stage2',
    'twosfs_base2new',
    'twosfs_all2all',
    'promptkd_base2novel',
    'promptkd_cross',
    'gda',
    'gda_base2new',
    'lppp',
    'zs_lp',
    'clap',
    'clap_adaptive',
    'crossmodal_lp',
    'prolip',
    'prolip_search',
    'ape',
    'zeroshot_ensemble',
    'skiptuning',
    'skiptuning_few_shot',
    'coprompt',
    'preprocess',
    'lr_schedule',
)


@pytest.fixture(scope='module')
def config():
    return Config.fromfile(ROOT / 'configs/_base_/few_shot.py')


@pytest.mark.parametrize('dtype', ['float64', 'float32'])
@pytest.mark.parametrize('case', CASES)
def test_reference_numbers(case, dtype, config):
    result = check_folder(GOLDEN, config, [case], dtype)[case]
    wrong = {k: t for k, t in result['tensors'].items() if not t.get('passed', True)}
    assert result['status'] == 'passed', (result.get('reason'), wrong)
    limit = dict(float64=1e-6, float32=2e-4)[dtype]
    assert result['max_rel_error'] < limit
    # Everything that is not an input has been compared.
    if case != 'lr_schedule':
        _, arrays = read_npz(GOLDEN / f'{case}.npz')
        assert set(result['tensors']) == set(arrays)


def test_a_wrong_number_fails(config, tmp_path):
    meta, arrays = read_npz(GOLDEN / 'coop_end.npz')
    arrays['out/logits'][0, 0] *= 1 + 1e-6
    np.savez(tmp_path / 'wrong.npz', meta=json.dumps(meta), **arrays)
    shutil.copy(GOLDEN / 'clip_tiny.npz', tmp_path)
    result = check_folder(tmp_path, config)['wrong']
    assert result['status'] == 'failed'
    assert not result['tensors']['out/logits']['passed']
    assert result['tensors']['out/text_features']['passed']


def test_an_unknown_key_fails(config, tmp_path):
    meta, arrays = read_npz(GOLDEN / 'coop_end.npz')
    np.savez(tmp_path / 'more.npz', meta=json.dumps(meta), **{'out/extra': np.zeros(3)}, **arrays)
    shutil.copy(GOLDEN / 'clip_tiny.npz', tmp_path)
    result = check_folder(tmp_path, config)['more']
    assert result['status'] == 'failed'
    assert 'nothing of this name' in result['tensors']['out/extra']['reason']


def test_command_line(tmp_path, capsys):
    """Unknown methods are not counted as passed; the exit status tells."""
    meta, arrays = read_npz(GOLDEN / 'zeroshot.npz')
    np.savez(tmp_path / 'other.npz', meta=json.dumps(dict(meta, method='Telepathy')), **arrays)
    (tmp_path / 'broken.npz').write_bytes(b'nothing')
    for name in ('clip_tiny.npz', 'zeroshot.npz'):
        shutil.copy(GOLDEN / name, tmp_path)
    command = [
        sys.executable,
        ROOT / 'tools/check_parity.py',
        tmp_path,
        '--json',
        tmp_path / 'result.json',
    ]
    run = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    cases = json.loads((tmp_path / 'result.json').read_text())['cases']
    assert run.returncode == 1
    assert {n: c['status'] for n, c in cases.items()} == dict(
        broken='failed', other='not implemented', zeroshot='passed'
    )
    tool('check_parity', tmp_path, '--case', 'zeroshot', '--dtype', 'float32')
    assert 'passed' in capsys.readouterr().out
    with pytest.raises(SystemExit, match='has no case nothing'):
        tool('check_parity', tmp_path, '--case', 'nothing')


def test_compare():
    ones = np.ones(3)
    assert compare('loss/total', ones, ones, 'float64')['passed']
    assert not compare('x', ones + 1e-8, ones, 'float64')['passed']
    assert compare('x', ones + 1e-5, ones, 'float32')['passed']
    assert not compare('tok/x', np.array([1]), np.array([2]), 'float32')['passed']
    assert 'shape' in compare('x', ones, np.ones(4), 'float64')['reason']
    assert 'NaN' in compare('x', ones * np.nan, ones, 'float64')['reason']


def test_second_set_of_fixtures_is_judged_harder():
    ones = np.ones(5000)
    off = ones + 1e-5
    assert compare('traj/final/x', off, ones, 'float32', 'DPT')['passed']
    assert not compare('traj/final/x', off, ones, 'float32', 'MaPLe')['passed']


def test_a_run_of_adamw_is_judged_as_a_whole():
    """One entry may go its own way by two steps, all may not by little."""
    zeros, rate = np.zeros(5000), 2e-4

    def judge(change, place):
        ours = dict({'traj/final/x': zeros.copy(), 'traj/final/y': zeros[:50]})
        ours['traj/final/x'][place] += change
        theirs = {k: np.zeros_like(v) for k, v in ours.items()}
        tensors = {k: compare(k, v, theirs[k], 'float32', 'CLIP-LoRA') for k, v in ours.items()}
        found = judge_run(ours, theirs, tensors, rate)
        assert found['traj/final/x']['max_abs_error'] == pytest.approx(change)
        return [found[k]['passed'] for k in sorted(found)]

    assert judge(1.9 * rate, 3) == [True, True]
    assert judge(2.1 * rate, 3) == [False, True]
    assert judge(0.02 * rate, slice(0, 9)) == [False, False]
    assert judge(0.009 * rate, slice(0, 9)) == [True, True]
