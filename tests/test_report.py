"""The figures before and after a training."""

import json

import pytest
import torch
from helpers.engine_toy import toy_config
from mmengine.runner import Runner

from mmdpt.engine import FewShotReportHook, read_checkpoint


def train(tmp_path, change=None, **kwargs):
    """Trains the toy and returns its log."""
    cfg = toy_config(tmp_path, **kwargs)
    cfg.experiment_name = str(tmp_path)
    if change:
        change(cfg)
    Runner.from_cfg(cfg).train()
    (log,) = tmp_path.glob('*/*.log')
    return log.read_text()


def test_tells_and_writes(tmp_path):
    log = train(tmp_path, report=True)
    results = json.loads((tmp_path / 'results.json').read_text())
    zero, few = (results[k]['accuracy/top1'] for k in ('zero_shot', 'few_shot'))
    assert 0 <= zero <= 100 and 0 <= few <= 100
    assert (results['epochs'], results['seed'], results['draw_hash']) == (4, 1, 'draw-1')
    assert results['train_seconds'] > 0 and results['train_cpu_seconds'] > 0
    assert (
        100 < results['peak_memory_mib'] < 100_000
        and results['versions']['torch'] == torch.__version__
    )
    assert results['checkpoint']['path'] == str(tmp_path / 'epoch_4.pth')
    first, last = log.index('Zero-shot CLIP: accuracy/top1'), log.index('Few-shot result')
    assert first < log.index('Epoch(train) [1]') < log.index('Epoch(train) [4]') < last
    assert f'zero-shot CLIP: accuracy/top1 {zero:.2f}' in log[last:]
    assert f'learnt: accuracy/top1 {few:.2f}' in log[last:]
    assert 'python tools/test.py ' in log[last:] and 'epoch_4.pth' in log[last:]


def test_training_is_the_same_without_it(tmp_path):
    """Bit for bit, with noise from the global generator, without seeding per epoch."""

    def no_seeding(cfg):
        cfg.default_hooks.pop('epoch_seed')

    states = []
    for report in (True, False):
        folder = tmp_path / str(report)
        train(folder, no_seeding, report=report, noise=0.3)
        states.append(read_checkpoint(str(folder / 'epoch_4.pth'))['state_dict'])
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_resume_tells_zero_shot_and_counts_time(tmp_path):
    train(tmp_path, report=True)
    before = json.loads((tmp_path / 'results.json').read_text())

    def resume(cfg):
        cfg.resume, cfg.load_from = True, str(tmp_path / 'epoch_4.pth')
        cfg.experiment_name += ' again'

    cfg = toy_config(tmp_path, report=True)
    cfg.experiment_name = str(tmp_path)
    resume(cfg)
    Runner.from_cfg(cfg).train()
    after = json.loads((tmp_path / 'results.json').read_text())
    for key in ('zero_shot', 'few_shot', 'epochs'):
        assert after[key] == before[key]
    for key in ('train_seconds', 'train_cpu_seconds'):
        assert after[key] == before[key]


def test_final_validation_on_the_test_set_is_not_repeated(tmp_path):
    def validate(cfg):
        cfg.val_dataloader, cfg.val_evaluator = cfg.test_dataloader, cfg.test_evaluator
        cfg.val_cfg, cfg.train_cfg.val_interval = dict(), 1000

    log = train(tmp_path, validate, report=True)
    assert log.count('Epoch(val)') == 1 and log.count('Epoch(test)') == 0
    few = json.loads((tmp_path / 'results.json').read_text())['few_shot']['accuracy/top1']
    assert f'learnt: accuracy/top1 {few:.2f}' in log


def test_nothing_to_test_on(tmp_path):
    def remove(cfg):
        cfg.test_dataloader = cfg.test_evaluator = cfg.test_cfg = None

    with pytest.raises(ValueError, match='no test images.*default_hooks.report.enable=False'):
        train(tmp_path, remove, report=True)


def test_unknown_baseline():
    with pytest.raises(ValueError, match="unknown baseline 'probe'.*linear_probe, raw_pixels"):
        FewShotReportHook(baselines=['probe'])


def test_no_tuning_on_test_images():
    from mmdpt.datasets import DigitsDataset
    from mmdpt.engine.measure import check_apart

    val, test = (DigitsDataset(split=s, shots=2, lazy_init=False) for s in ('val', 'test'))
    check_apart(val, test)
    with pytest.raises(ValueError, match='chosen on the test images'):
        check_apart(test, test)
