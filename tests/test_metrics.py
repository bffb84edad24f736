"""Metrics of stored predictions: the golden values, and what libraries compute."""

import copy
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.evaluator import Evaluator
from mmpretrain.structures import DataSample
from parity import check_folder
from sklearn import metrics as sk
from torchmetrics.functional.classification import binary_calibration_error as binary_error
from torchmetrics.functional.classification import multiclass_calibration_error as error_of

from mmdpt.evaluation import calibration_error, metrics, ood

ROOT = Path(__file__).resolve().parents[1]
GOLDEN = ROOT / 'tests/data/golden/metrics.json'


def made_up(images=300, classes=6, seed=0):
    draw = np.random.default_rng(seed)
    labels = draw.integers(0, classes, images)
    return draw.normal(size=(images, classes)) + 1.5 * np.eye(classes)[labels], labels


def check(content, tmp_path):
    (tmp_path / 'others.json').write_text(json.dumps(content))
    config = Config.fromfile(ROOT / 'configs/_base_/few_shot.py')
    return check_folder(tmp_path, config, None, 'float64')['others']


@pytest.fixture(scope='module')
def golden():
    return json.loads(GOLDEN.read_text())


def test_golden_values(golden, tmp_path):
    found = check(golden, tmp_path)
    assert found['status'] == 'passed' and found['max_rel_error'] < 1e-9
    compared = [key for key, entry in found['tensors'].items() if 'skipped' not in entry]
    count = sum(len(case['values']) for case in golden['classification'] + golden['ood'])
    assert len(compared) == count + 2 * len(golden['ood']) + len(golden['harmonic_mean']) + 2


def test_settings_are_those_of_the_file(golden, tmp_path):
    other = copy.deepcopy(golden)
    other['classification'][0]['bins'] = 7
    other['ood'][2]['temperature'] = 0.3
    found = check(other, tmp_path)
    wrong = {key for key, entry in found['tensors'].items() if not entry.get('passed', True)}
    plain = {key.split('/')[2] for key in wrong if key.startswith('classification/plain')}
    assert plain >= {'ece', 'adaptive_ece', 'classwise_ece_per_class', 'mce_weighted'}
    assert not plain & {'brier', 'nll', 'aurc_mean', 'macro_f1'}
    assert {'ood/mcm_temperature/mcm_in', 'ood/mcm_temperature/mcm_out'} <= wrong
    assert not any(key.startswith('classification/imbalanced') for key in wrong)


def test_what_a_file_lacks_or_has_besides_is_named(golden, tmp_path):
    other = copy.deepcopy(golden)
    del other['classification'][0]['bins'], other['classification'][1]['labels']
    del other['ood'][0]['logit_scale'], other['ood'][2]['mcm_in'], other['harmonic_mean']
    del other['classification'][2]['values']['ece'], other['ood'][1]['logits_in']
    other['classification'][3]['values']['new_metric'] = 1.0
    other['classification'][4]['name'] = 'plain'
    other['more'], other['ood'][1]['percentile'] = 3, 90
    tensors = check(other, tmp_path)['tensors']
    assert 'needs bins' in tensors['classification/plain#0/ece']['reason']
    assert tensors['classification/plain#0/brier']['passed']
    assert 'needs labels' in tensors['classification/class_absent_from_labels/nll']['reason']
    assert 'needs logit_scale' in tensors['ood/mcm/mcm_in']['reason']
    assert tensors['ood/mcm/auroc']['passed']  # of the scores of the file
    assert tensors['ood/mcm_temperature/auroc']['passed']  # of ours
    assert 'needs logits_in' in tensors['ood/mcm_with_ties/mcm_in']['reason']
    assert tensors['harmonic_mean']['skipped'] == 'not in the file'
    assert tensors['classification/imbalanced/ece']['skipped'] == 'not in the file'
    for key in ('classification/saturated_confidence_exactly_one/new_metric', 'more'):
        assert tensors[key]['passed'] is False and 'nothing of this name' in tensors[key]['reason']
    assert tensors['ood/mcm_with_ties/percentile']['passed'] is False
    assert tensors['classification/plain#4/ece']['passed']


def test_a_changed_value_fails(golden, tmp_path):
    other = copy.deepcopy(golden)
    other['ood'][0]['values']['fpr95'] *= 1 + 1e-8
    found = check(other, tmp_path)
    assert found['status'] == 'failed'
    assert [k for k, e in found['tensors'].items() if not e.get('passed', True)] == [
        'ood/mcm/fpr95'
    ]


def test_as_torchmetrics():
    logits, labels = made_up()
    p, truth = metrics.softmax(logits), torch.from_numpy(labels)
    found = metrics.summary(logits, labels)
    for norm, name in (('l1', 'ece'), ('max', 'mce')):
        theirs = error_of(torch.from_numpy(p), truth, 6, n_bins=15, norm=norm)
        assert found[name] == pytest.approx(theirs.item(), abs=1e-6)
    per_class = calibration_error.classwise_ece(p, labels)
    theirs = [
        binary_error(torch.from_numpy(p[:, i].copy()), truth == i, n_bins=15).item()
        for i in range(6)
    ]
    assert per_class == pytest.approx(theirs, abs=1e-6)
    assert found['classwise_ece'] == pytest.approx(np.mean(theirs), abs=1e-6)


def test_as_scikit_learn():
    logits, labels = made_up()
    labels[labels == 4] = 3  # a class without images
    p, predicted = metrics.softmax(logits), logits.argmax(axis=1)
    found = metrics.summary(logits, labels)
    assert found['nll'] == pytest.approx(sk.log_loss(labels, p, labels=range(6)), rel=1e-12)
    one_hot = sk.brier_score_loss(labels, p, labels=range(6), scale_by_half=False)
    assert found['brier'] == pytest.approx(one_hot, rel=1e-12)
    assert found['accuracy'] == pytest.approx(100 * sk.accuracy_score(labels, predicted))
    balanced = 100 * sk.balanced_accuracy_score(labels, predicted)
    assert found['per_class_mean_accuracy'] == pytest.approx(balanced, rel=1e-12)


def test_by_hand():
    """Two bins, four images."""
    confidence, right = [0.2, 0.5, 0.7, 1.0], [0, 1, 1, 0]
    assert calibration_error.ece(confidence, right, 2) == pytest.approx((0.3 + 0.7) / 4)
    assert calibration_error.mce(confidence, right, 2) == pytest.approx(0.35)
    left = 0.25 * 0.2 + 0.75 * (1 - 0.6)  # 0.5 moves up; 1 counts in the weight alone
    assert calibration_error.ece_left_closed(confidence, right, 2) == pytest.approx(left)
    assert metrics.risks(confidence, right).tolist() == [1, 0.5, 1 / 3, 0.5]
    assert metrics.aurc([0.9, 0.8, 0.7], [1, 1, 0]) == pytest.approx(1 / 9)
    assert metrics.e_aurc([0.9, 0.8, 0.7], [1, 1, 0]) == 0
    assert metrics.harmonic_mean(0, 0) == 0 and math.isnan(metrics.aurc_trapezoid([1], [1]))


def test_ties_and_the_nearest_recall():
    inside, outside = np.arange(20) / 20, np.array([-1, 0.02, 0.5, 2])
    assert ood.fpr95(inside, outside) == 0.75  # 19 of 20 pass 0.05
    assert ood.auroc([1, 1], [1, 0]) == 0.75
    assert ood.summary([2, 3], [0, 1]) == dict(auroc=1, aupr_in=1, aupr_out=1, fpr95=0)


def test_scores():
    logits = np.array([[3.0, 1.0], [0.0, 0.0]])
    softmax = 1 / (1 + np.exp(-2))
    assert ood.scores(logits, 'msp') == pytest.approx([softmax, 0.5])
    assert ood.scores(logits, 'mcm', 0.5, 2.0) == pytest.approx([softmax, 0.5])
    both = np.log(np.exp(1.5) + np.exp(0.5)), np.log(2)
    assert ood.scores(logits, 'energy', 2.0) == pytest.approx([2 * x for x in both])


@pytest.mark.parametrize(
    'options, message',
    [
        (dict(score='entropy'), 'no score'),
        (dict(score='mcm'), 'needs the scale'),
        (dict(score='msp', temperature=0), 'above 0'),
    ],
)
def test_scores_that_do_not_exist(options, message):
    with pytest.raises(ValueError, match=message):
        ood.scores(np.zeros((2, 2)), **options)


def test_what_cannot_be_judged():
    with pytest.raises(ValueError, match='unknown'):
        metrics.summary(np.zeros((2, 2)), [0, -1])
    with pytest.raises(ValueError, match='N > 0'):
        metrics.summary(np.zeros((0, 2)), [])
    for row in ([np.nan, 1.0], [np.inf, 1.0], [-np.inf, -np.inf]):
        with pytest.raises(ValueError, match='not finite'):
            metrics.summary([[0.0, 1.0], row], [1, 1])
    assert metrics.summary([[-np.inf, 1.0]], [1])['nll'] == 0  # a probability of exactly 0
    with pytest.raises(ValueError, match='both kinds'):
        ood.auroc([1.0], [])


def test_in_the_evaluator_of_a_config():
    logits, labels = made_up(50)
    evaluator = Evaluator(
        [dict(type='mmpretrain.CalibrationMetric'), dict(type='mmpretrain.OODMetric', scale=1.0)]
    )
    for kind in (labels, np.full(50, -1)):
        for i, (row, label) in enumerate(zip(torch.from_numpy(logits), kind.tolist())):
            row = row if label >= 0 else row / (i + 2)
            sample = DataSample().set_gt_label(label).set_pred_score(row.softmax(0))
            sample.set_field(row, 'pred_logits')
            evaluator.process([sample])
    found = evaluator.evaluate(100)
    wanted = metrics.summary(logits, labels)
    for name in ('ece', 'nll', 'aurc', 'macro_f1'):
        assert found[f'calibration/{name}'] == pytest.approx(wanted[name], rel=1e-9)
    other = logits / (np.arange(50) + 2)[:, None]
    for score in ood.SCORES:
        told = ood.summary(*(ood.scores(part, score, scale=1.0) for part in (logits, other)))
        assert found[f'ood/{score}_fpr95'] == pytest.approx(told['fpr95'])
        assert found[f'ood/{score}_auroc'] == pytest.approx(told['auroc'])
