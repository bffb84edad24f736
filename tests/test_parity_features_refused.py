"""Of the feature-space methods the parity tool names what it lacks, and reads all else."""

from pathlib import Path

import numpy as np
import pytest
from helpers.twin_check import check, with_settings
from helpers.twin_space import make

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize(
    'case, change, reason',
    [
        ('gda', dict(priors='counts'), "priors='counts'"),
        ('gda', dict(template=['the {}.', '{} texture.']), 'several templates'),
        ('gda', dict(augment_epoch=3), 'augment_epoch=3'),
        ('gda_base2new', dict(base_pinv_rtol='1e-3'), "base_pinv_rtol='1e-3'"),
        ('lppp', dict(weight_decay=0.1), 'weight_decay=0.1'),
        ('lppp', dict(alpha_constant=100), 'alpha_constant=100'),
        ('lppp', dict(validation='last epoch'), "validation='last epoch'"),
        ('zs_lp', dict(init='TR'), "init='TR' with constraint='none'"),
        ('clap', dict(init='CrossModal'), "init='CrossModal' with constraint='l2'"),
        ('clap', dict(constraint='cosine'), "constraint='cosine'"),
        ('clap', dict(constraint='l2_cosine'), "constraint='l2_cosine'"),
        ('clap', dict(constraint='adaptative'), "constraint='adaptative'"),
        ('clap', dict(batch_size=4), 'batches_per_epoch=2'),
        ('clap', dict(drop_last_in_batches_per_epoch=False), 'drop_last'),
        ('crossmodal_lp', dict(nesterov=True), 'nothing here reads: nesterov'),
        ('prolip', dict(lambda_rule='1/shots^2'), "lambda_value=0.25 with lambda_rule='1/shots^2'"),
        ('prolip', dict(view_order=24 * [0]), 'view_order='),
        ('prolip', dict(optimizer='SGD'), "optimizer='SGD'"),
        ('prolip_search', dict(validation='none'), "validation='none'"),
        ('ape', dict(validation='none'), "validation='none'"),
        ('transclip_zero_shot', dict(transductive=False), 'transductive=False'),
        ('transclip_zero_shot', dict(validation='gamma by val'), 'without labelled ones'),
        ('transclip_few_shot', dict(validation='none'), 'without labelled ones'),
        ('transclip_few_shot', dict(start='tip-adapter'), 'nothing here reads: start'),
    ],
)
def test_settings_that_we_lack_are_named(case, change, reason, tmp_path):
    result = with_settings(case, change, tmp_path)
    assert result['status'] == 'not implemented' and reason in result['reason']


def mixed_up(inputs):
    inputs['support/labels'] = np.array([0, 1, 2, 0, 1, 2])


@pytest.mark.parametrize(
    'case, support, change, reason',
    [
        ('ape', (3, 2, 3), None, 'support with [3, 2, 3] images of the classes'),
        ('ape', (2, 2, 2), mixed_up, 'not sorted by class'),
        ('lppp', (1, 2, 2), None, 'support with [1, 2, 2] images of the classes'),
        ('gda', (1, 1, 1), None, 'one feature per class'),
    ],
)
def test_inputs_that_we_lack_are_named(case, support, change, reason, tmp_path):
    given = dict(query=(1, 1, 1), support=support, val=(1, 1, 1), views=1)
    names = ['River', 'Forest', 'Pasture Land']
    make(tmp_path, case, given, change, class_names=names)
    result = check(tmp_path, ['case'])['case']
    assert result['status'] == 'not implemented' and reason in result['reason']


@pytest.mark.parametrize(
    'case, change',
    [
        ('gda_base2new', dict(text_copies=15)),
        ('clap', dict(constraint='l2_balanced')),
        ('crossmodal_lp', dict(warmup_epochs=2)),
        ('prolip', dict(lambda_rule='given', lambda_value=0.2)),
        ('ape', dict(w_training_free=[0.6, 0.4])),
        ('transclip_few_shot', dict(gamma_list=[0.002, 0.01, 0.02, 0.1])),
    ],
)
def test_another_setting_gives_other_numbers(case, change, tmp_path):
    """Each is read: the file's numbers no longer fit."""
    result = with_settings(case, change, tmp_path)
    assert result['status'] == 'failed'
    assert any(not t.get('passed', True) for t in result['tensors'].values())
