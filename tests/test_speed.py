"""The benchmark tool: right keys, equal results, a ratio from one run."""
import json
import subprocess
import sys
from pathlib import Path

import pytest

from mmdpt.evaluation.speed import _extend, class_names

ROOT = Path(__file__).resolve().parents[1]
KEYS = {
    'ours_s', 'plain_s', 'ratio', 'ours_peak_mib', 'plain_peak_mib',
    'max_abs_diff', 'max_rel_grad_diff'
}


def test_tool(tmp_path):
    config = ROOT / 'mmdpt/tiny_clip/config.json'
    run = subprocess.run([
        sys.executable, ROOT / 'tools/benchmark_speed.py', '--arch', config,
        '--num-classes', '3', '12', '--batch-size', '2', '--repeat', '1',
        '--plain-limit', '8', '--json', tmp_path / 'speed.json'
    ], capture_output=True, text=True, cwd=ROOT)
    assert run.returncode == 0, run.stderr
    result = json.loads((tmp_path / 'speed.json').read_text())
    assert result['machine']['batch_size'] == 2
    for count in ('3', '12'):
        assert set(result[count]) == {'text', 'train_step', 'evaluation'}
        for part, row in result[count].items():
            assert KEYS <= set(row)
            assert row['ratio'] == row['plain_s'] / row['ours_s'] > 0
            assert row['max_abs_diff'] < 1e-3
            assert row['max_rel_grad_diff'] < 1e-3
            assert row['plain_flops'] > row['ours_flops'] > 0
            assert row['ours_tflops_per_s'] > 0 and 'share_of_peak' not in row
            assert ('plain_note' in row) == (count == '12')
        assert result[count]['text']['plain_text_tokens'] == 77 * int(count)


def test_straight_line():
    assert _extend(1000, [50, 100], [6., 11.]) == pytest.approx(101.)
    assert _extend(7, [7], [3.]) == 3.


def test_class_names_are_distinct():
    names = class_names(2500)
    assert len(set(names)) == 2500
