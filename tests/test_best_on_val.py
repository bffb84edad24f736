"""The epoch that is best on validation images, by an option of the report."""

import json
import os

import pytest
import torch
from helpers.tools import ROOT, refused, tool
from mmengine.config import Config

from mmdpt.engine import read_checkpoint
from mmdpt.engine.best_on_val import select_on_val
from mmdpt.results import find_runs

COOP = 'coop/coop_tiny_digits_16shot'
SHORT = ['train_cfg.max_epochs=6', 'train_dataloader.dataset.shots=2']
ON_VAL = ['default_hooks.report.best_on_val=True']


def train(work_dir, *more, options=()):
    tool('train', COOP, '--work-dir', work_dir, *more, '--cfg-options', *SHORT, *options)
    return json.loads((work_dir / 'results.json').read_text())


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp('best')
    return folder, train(folder, options=ON_VAL)


def test_the_best_epoch_is_tested_and_named(trained, tmp_path):
    folder, results = trained
    best, selected = results['checkpoint']['path'], results['selected']
    assert os.path.basename(best) == f'best_accuracy_top1_epoch_{selected["epoch"]}.pth'
    tool('test', COOP, best, '--work-dir', tmp_path, '--out', tmp_path / 'm.json')
    assert json.loads((tmp_path / 'm.json').read_text()) == results['few_shot']
    # the validation images: 2 per class, of another list
    options = ['test_dataloader.dataset.split=val', 'test_dataloader.dataset.shots=2']
    out = ['--out', tmp_path / 'v.json', '--cfg-options', *options]
    tool('test', COOP, best, '--work-dir', tmp_path, *out)
    found = json.loads((tmp_path / 'v.json').read_text())['accuracy/top1']
    assert found == selected['val_accuracy']
    assert [row.method for row in find_runs([str(folder)])] == ['coop (best on val)', 'zero_shot']


def test_the_training_itself_is_the_same(trained, tmp_path):
    folder, results = trained
    plain = train(tmp_path)
    assert plain['selected'] is None and 'best' not in plain['checkpoint']['path']
    one, other = (
        read_checkpoint(str(place / 'epoch_6.pth'))['state_dict'] for place in (folder, tmp_path)
    )
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_resumed_training_knows_its_best_epoch(trained):
    folder, results = trained
    os.remove(folder / 'results.json')
    again = train(folder, '--resume', options=ON_VAL)
    assert again['selected'] == results['selected']
    assert again['few_shot'] == results['few_shot']


def test_a_training_on_kept_views_looks_at_each_epoch_too(tmp_path):
    kept = ['train_cfg.type=FeatureTrainLoop', 'train_cfg.views=1', *ON_VAL]
    found = train(tmp_path, options=[*kept, 'test_dataloader.dataset.indices=60'])['selected']
    assert 1 <= found['epoch'] <= 6 and 0 < found['val_accuracy'] <= 100


def test_validation_images_that_are_the_test_images_are_refused(capsys, tmp_path):
    config = tmp_path / 'own.py'
    config.write_text(
        f"_base_ = '{ROOT}/configs/{COOP}.py'\n"
        'default_hooks = dict(report=dict(best_on_val=True))\n'
        "test_dataloader = dict(dataset=dict(split='val', shots=2, seed=1))\n"
    )
    options = ['--work-dir', tmp_path / 'w', '--cfg-options', *SHORT]
    line = refused(capsys, 'train', config, *options)
    assert 'Leave default_hooks.report.best_on_val out' in line and 'test list' in line


@pytest.mark.parametrize(
    'change, message',
    [
        (dict(custom_hooks=[dict(type='LearntEMA')]), 'LearntEMA a mean over epochs'),
        (
            {'default_hooks.aggregation': dict(type='GaussianAggregationHook')},
            'aggregation a mean over epochs',
        ),
        ({'train_dataloader.dataset': dict(_delete_=True, type='CIFAR10')}, 'CIFAR10 has none'),
        ({'train_cfg.steps': False}, 'this method is fitted at once'),
    ],
)
def test_what_has_no_best_epoch_is_refused(change, message):
    cfg = Config.fromfile(f'{ROOT}/configs/{COOP}.py')
    cfg.default_hooks.report.best_on_val = True
    cfg.merge_from_dict(change)
    with pytest.raises(ValueError, match=message):
        select_on_val(cfg)
