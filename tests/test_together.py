"""Runs trained together, as one batch in one process, beside the same runs by themselves."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
import torch
from helpers.short_runs import leaf, short_config, train
from helpers.tools import ROOT, tool
from mmengine.hooks import Hook
from mmpretrain.registry import HOOKS

from mmdpt.cli import sweep as TOOL
from mmdpt.engine import for_runner, latest_checkpoint, read_checkpoint
from mmdpt.engine.together import Plan, check_config_together, train_together
from mmdpt.sweep.job import read_results
from mmdpt.sweep.runs import Run
from mmdpt.sweep.together import choose_together

# seed, shots, epochs: other images, other numbers of steps and of images in a batch
RUNS = dict(a=(1, 2, 3), b=(2, 2, 2), c=(3, 1, 3))
EXACT = dict(rtol=0, atol=1e-9)


def config(method, folder, seed=1, shots=2, epochs=2, **options):
    options = {
        'model__precision': 'fp64',
        'randomness__seed': seed,
        'train_dataloader__dataset__seed': seed,
        'train_dataloader__dataset__shots': shots,
        'train_dataloader__batch_size': 12,
        'train_dataloader__num_workers': 0,
        'train_dataloader__persistent_workers': False,
        'default_hooks__logger__interval': 1,
        **options,
    }
    cfg = short_config(method, folder, epochs, **options)
    if 'guided_epochs' in cfg.model.head:
        cfg.model.head.guided_epochs = 1
    return cfg


def together(configs):
    plans = [Plan(name, lambda cfg=cfg: cfg) for name, cfg in configs.items()]
    outcomes = train_together(plans)
    for error in outcomes.values():
        if error is not None:
            raise error


def curve(folder):
    """The losses of each step."""
    (path,) = folder.glob('*/vis_data/scalars.json')
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return [{k: v for k, v in line.items() if 'loss' in k or k == 'lr'} for line in lines]


def last(folder):
    return read_checkpoint((folder / 'last_checkpoint').read_text())


def assert_same_tree(a, b):
    if isinstance(a, torch.Tensor):
        torch.testing.assert_close(a, b, **EXACT)
    elif isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            assert_same_tree(a[key], b[key])
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b)
        for one, other in zip(a, b):
            assert_same_tree(one, other)
    else:
        assert a == (pytest.approx(b, abs=1e-9) if isinstance(a, float) else b)


@pytest.mark.parametrize('method', ['coop', 'kgcoop', 'vpt', 'dpt', 'vlp', 'cocoop', 'maple'])
def test_as_by_themselves(method, tmp_path):
    options = {} if method in ('coop', 'vpt', 'dpt') else dict(epochs=2)
    for name, (seed, shots, epochs) in RUNS.items():
        train(config(method, tmp_path / 'alone' / name, seed, shots, options.get('epochs', epochs)))
    together(
        {
            name: config(
                method, tmp_path / 'group' / name, seed, shots, options.get('epochs', epochs)
            )
            for name, (seed, shots, epochs) in RUNS.items()
        }
    )
    for name in RUNS:
        one, other = (tmp_path / kind / name for kind in ('alone', 'group'))
        assert_same_tree(curve(one), curve(other))
        saved = last(one), last(other)
        for key in ('state_dict', 'optimizer', 'param_schedulers'):
            assert_same_tree(saved[0][key], saved[1][key])
        assert saved[0]['meta']['epoch'] == saved[1]['meta']['epoch']
    a, b = (last(tmp_path / 'group' / name)['state_dict'] for name in 'ab')
    assert any(not torch.equal(a[key], b[key]) for key in a)


@pytest.mark.parametrize(
    'method, changes, words',
    [
        ('clip_lora', {}, 'LoRA learns in the towers'),
        ('prograd', {}, 'ProGradOptimWrapper'),
        ('coop', dict(model__teacher=dict(arch='ViT-L-14')), 'teacher'),
        ('skiptuning', {}, 'KeptStatesTrainLoop'),
        ('twosfs', {}, 'stages'),
        ('coop', dict(compile=True), 'compile'),
        ('coop', dict(launcher='pytorch'), 'launcher'),
        ('coop', dict(model__pretrained=None), 'pretrained=None'),
    ],
)
def test_refused_by_name(method, changes, words, tmp_path):
    cfg = config(method, tmp_path, **changes)
    with pytest.raises(ValueError, match=words):
        check_config_together(cfg)
        run = Run('it', cfg.to_dict(), 'train', 'x.py')
        choose_together([run], False)


def sweep_file(folder, *runs):
    options = {
        'train_dataloader.num_workers': 0,
        'train_dataloader.persistent_workers': False,
        'val_dataloader.num_workers': 0,
        'val_dataloader.persistent_workers': False,
        'test_dataloader.num_workers': 0,
        'test_dataloader.persistent_workers': False,
        'test_dataloader.dataset.indices': 60,
        'val_dataloader.dataset.indices': 60,
        'train_dataloader.dataset.shots': 2,
        'default_hooks.report.baselines': [],
    }
    entries = [
        dict(name=name, config=leaf(method), seed=seed, options={**options, **more})
        for name, method, seed, more in runs
    ]
    (folder / 'sweep.py').write_text(f'runs = {entries!r}\n')
    return [str(folder / 'sweep.py'), '--work-dir', str(folder / 'out')]


def test_sweep_end_to_end(tmp_path, capfd):
    epochs = 'train_cfg.max_epochs'
    command = sweep_file(
        tmp_path,
        ('one', 'coop', 1, {epochs: 1}),
        ('two', 'coop', 2, {epochs: 2}),
        ('lora', 'clip_lora', 1, {epochs: 1}),
    )
    with pytest.raises(SystemExit):
        TOOL.main([*command, '--together'])
    told = capfd.readouterr().err
    assert '1 of 3 runs' in told and 'lora: LoRA' in told and not (tmp_path / 'out/one').exists()
    TOOL.main([*command, '--together', '--only', 'one', 'two'])
    told = capfd.readouterr().out
    assert 'together: one, two' in told and '[2/2]' in told
    for name, count in dict(one=1, two=2).items():
        folder = tmp_path / 'out' / name
        results = read_results(str(folder))
        assert results['epochs'] == count and results['train_cpu_seconds'] > 0
        assert results['checkpoint']['path'].endswith(f'{name}/epoch_{count}.pth')
        assert {'predictions.npz', 'results.json'} <= set(os.listdir(folder))
        log = (folder / 'sweep.log').read_text()
        assert 'together with 1 others' in log and f'epoch {count}/{count}' in log
        assert 'Few-shot result' in log and 'seed ' + str(results['seed']) in log
    TOOL.main([*command, '--together', '--only', 'one', 'two'])  # nothing is left to do
    assert '2 finished; 0 to run' in capfd.readouterr().out


def test_killed_it_goes_on_and_its_runs_are_like_others(tmp_path, capfd):
    """SIGKILL in the middle: the same command ends where it would have ended."""
    options = {'train_cfg.max_epochs': 12, 'model.precision': 'fp64'}
    runs = [(name, 'dpt', seed, options) for name, seed in dict(one=1, two=2).items()]
    folders = {name: tmp_path / name for name in ('killed', 'whole')}
    commands = {}
    for name, folder in folders.items():
        folder.mkdir()
        commands[name] = [*sweep_file(folder, *runs), '--together']
    driver = subprocess.Popen(
        [sys.executable, os.path.join(ROOT, 'tools', 'sweep.py'), *commands['killed']],
        stdout=subprocess.DEVNULL,
    )
    early = folders['killed'] / 'out/two/epoch_2.pth'
    until = time.monotonic() + 300
    while not early.exists() and time.monotonic() < until:
        time.sleep(0.01)
    driver.kill()
    assert driver.wait() == -signal.SIGKILL
    for name in ('one', 'two'):
        assert read_results(str(folders['killed'] / 'out' / name)) is None
    for command in commands.values():
        TOOL.main(command)
    for name in ('one', 'two'):
        (one, other) = (folder / 'out' / name for folder in folders.values())
        first, second = (one / 'sweep.log').read_text().split('--- attempt ')[1:]
        assert 'epoch  1/12' in first and 'epoch  1/12' not in second and 'epoch 12/12' in second
        saved = last(one), last(other)
        for key in ('state_dict', 'optimizer', 'param_schedulers'):
            assert_same_tree(saved[0][key], saved[1][key])
        capfd.readouterr()
        tool('verify', one)
        assert ' agrees, 0 differs, 0 not checked' in capfd.readouterr().out
    tool('collect_results', folders['killed'] / 'out')
    assert '2 result files' in capfd.readouterr().out


@HOOKS.register_module()
class BreakOnce(Hook):
    """Ends the training in its second epoch, once."""

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        marker = os.path.join(runner.work_dir, 'broken')
        if runner.epoch == 1 and not os.path.exists(marker):
            open(marker, 'w').close()
            raise OSError('the disk is full')


def test_one_that_fails_drops_out_and_goes_on_later(tmp_path):
    def run(name, seed, **options):
        return config('vpt', tmp_path / name, seed, **options)

    breaking = dict(custom_hooks=[dict(type='BreakOnce')])
    first = dict(a=run('a', 1, **breaking), b=run('b', 2))
    outcomes = train_together([Plan(name, lambda cfg=cfg: cfg) for name, cfg in first.items()])
    assert 'disk is full' in str(outcomes['a']) and outcomes['b'] is None
    assert last(tmp_path / 'a')['meta']['epoch'] == 1
    again = run('a', 1, **breaking)
    again.resume, again.load_from = True, for_runner(latest_checkpoint(again.work_dir))
    together(dict(a=again, c=run('c', 3)))
    for name, seed in dict(a=1, b=2, c=3).items():
        train(config('vpt', tmp_path / 'alone' / name, seed))
        one, other = last(tmp_path / 'alone' / name), last(tmp_path / name)
        assert_same_tree(one['state_dict'], other['state_dict'])
        assert_same_tree(one['optimizer'], other['optimizer'])
