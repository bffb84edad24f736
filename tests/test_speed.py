"""The benchmark tool: right keys, equal results, a ratio from one run."""

import json

import pytest
from helpers.tools import tool
from speed.models import TINY, class_names, for_three_blocks
from speed.pair import benchmark, carried_on

KEYS = {
    'ours_s',
    'plain_s',
    'ratio',
    'ours_peak_mib',
    'plain_peak_mib',
    'max_abs_diff',
    'max_rel_grad_diff',
}


def test_tool(tmp_path):
    tool(
        'benchmark_speed',
        '--arch',
        TINY,
        '--num-classes',
        '3',
        '12',
        '--batch-size',
        '2',
        '--repeat',
        '1',
        '--plain-limit',
        '8',
        '--json',
        tmp_path / 'speed.json',
    )
    result = json.loads((tmp_path / 'speed.json').read_text())
    assert result['machine']['batch_size'] == 2
    for count in ('3', '12'):
        assert set(result[count]) == {'text', 'train_step', 'evaluation'}
        for row in result[count].values():
            assert KEYS <= set(row)
            assert row['ratio'] == row['plain_s'] / row['ours_s'] > 0
            assert row['max_abs_diff'] < 1e-3
            assert row['max_rel_grad_diff'] < 1e-3
            assert row['plain_flops'] > row['ours_flops'] > 0
            assert row['ours_tflops_per_s'] > 0 and 'share_of_peak' not in row
            assert ('plain_note' in row) == (count == '12')
        assert result[count]['text']['plain_text_tokens'] == 77 * int(count)


METHODS = [
    'clip_adapter',
    'clip_lora',
    'cocoop',
    'coop',
    'coprompt',
    'dpt',
    'kgcoop',
    'maple',
    'mmrl',
    'mmrlpp',
    'prograd',
    'promptsrc',
    'skiptuning',
    'tcp',
    'tip_adapter_f',
    'twosfs',
    'vlp',
    'vpt',
    'vpt_shallow',
]


@pytest.mark.parametrize('name', METHODS)
def test_every_method_s_step_equals_its_plain_path(name):
    row = benchmark(
        'train_step',
        4,
        TINY,
        2,
        'cpu',
        'fp64',
        'fp64',
        repeat=1,
        plain_limit=4,
        warm_up=0,
        count_flops=False,
        method=for_three_blocks(name),
    )
    assert row['max_abs_diff'] < 1e-9
    assert row['max_rel_grad_diff'] < 1e-9


def test_straight_line():
    assert carried_on(1000, [50, 100], [6.0, 11.0]) == pytest.approx(101.0)
    assert carried_on(7, [7], [3.0]) == 3.0


def test_class_names_are_distinct():
    names = class_names(2500)
    assert len(set(names)) == 2500
