"""tools/train.py and tools/test.py: options, resuming, errors in one line."""

import json
import os
import os.path as osp
import signal
import subprocess
import sys
import time

import pytest
import torch
from helpers.tools import ROOT, refused, tool

from mmdpt.engine import read_checkpoint


def test_train_then_test(config, capsys):
    tool('train', config, '--seed', 3, '--cfg-options', 'train_cfg.max_epochs=2')
    work_dir = osp.join('work_dirs', config.stem)
    results = json.load(open(osp.join(work_dir, 'results.json')))
    assert (results['epochs'], results['seed']) == (2, 3)
    checkpoint = osp.join(work_dir, 'epoch_2.pth')
    tool('test', config, checkpoint, '--work-dir', 'tested', '--out', 'metrics.json')
    assert json.load(open('metrics.json')) == pytest.approx(results['few_shot'], abs=1e-3)
    tool('test', config, checkpoint, '--work-dir', 'tested', '--out', 'predictions.pkl')
    assert osp.getsize('predictions.pkl') > 0


def test_resume(config, capsys):
    """Without a checkpoint it starts; then it goes on from the last one."""
    tool('train', config, '--resume', '--work-dir', 'run')
    assert 'no checkpoint in run yet: training starts at the beginning' in capsys.readouterr().out
    wanted = read_checkpoint('run/epoch_4.pth')['state_dict']
    os.remove('run/epoch_4.pth')
    with open('run/last_checkpoint', 'w') as file:
        file.write(osp.abspath('run/epoch_3.pth'))
    tool('train', config, '--resume', '--work-dir', 'run')
    found = read_checkpoint('run/epoch_4.pth')['state_dict']
    assert all(torch.equal(wanted[name], found[name]) for name in wanted)


@pytest.mark.parametrize(
    'arguments, words',
    [
        (['--cfg-options', 'train_cfg.max_epoch=1'], 'did you mean train_cfg.max_epochs'),
        (
            ['--cfg-options', 'model.type=NoSuchModel'],
            "model.type: 'NoSuchModel' is in no registry",
        ),
        (['--resume', 'nowhere.pth'], 'no checkpoint file nowhere.pth'),
        (['--seed', '-1'], '--seed must not be negative, got -1'),
        (['--auto-scale-lr'], 'auto_scale_lr=dict(base_batch_size=N)'),
        (['--work-dir', 'engine_toy.py/x'], 'engine_toy.py'),
    ],
)
def test_train_refuses(config, capsys, arguments, words):
    open('engine_toy.py', 'w').close()
    assert words in refused(capsys, 'train', config, *arguments)
    assert not list(config.parent.glob('**/*.pth'))


@pytest.mark.skipif(torch.cuda.is_available(), reason='needs a machine without GPU')
def test_amp_needs_a_gpu(config, capsys):
    assert '--amp needs a GPU' in refused(capsys, 'train', config, '--amp')


@pytest.mark.skipif(torch.cuda.is_available(), reason='needs a machine without GPU')
def test_amp_on_cpu_computes_in_bfloat16(tmp_path):
    config = osp.join(ROOT, 'configs/coop/coop_tiny_digits_16shot.py')
    tool(
        'train',
        config,
        '--amp',
        '--work-dir',
        tmp_path,
        '--cfg-options',
        'train_cfg.max_epochs=1',
        'train_dataloader.dataset.shots=1',
    )
    with open(tmp_path / 'results.json') as file:
        assert json.load(file)['few_shot']['accuracy/top1'] > 30
    context = read_checkpoint(tmp_path / 'epoch_1.pth')['state_dict']['text_prompt.context']
    assert context.dtype == torch.float32
    assert "precision='bf16'" in (tmp_path / 'coop_tiny_digits_16shot.py').read_text()


def test_no_config(tmp_path, capsys):
    assert 'no config file nowhere.py' in refused(capsys, 'train', 'nowhere.py')


def test_nan_ends_in_one_line(config, capsys):
    line = refused(capsys, 'train', config, '--cfg-options', 'model.poison=8')
    assert 'training stopped in iteration 8 (epoch 3)' in line and 'epoch_2.pth' in line


@pytest.mark.parametrize(
    'arguments, words',
    [
        ([], 'the model learns 3 tensors (visual_prompt, '),
        (['nowhere.pth'], 'no checkpoint file nowhere.pth'),
        (['torn.pth'], 'torn.pth is damaged'),
        (['torn.pth', '--out-item', 'pred'], '--out-item says what to write'),
        (['torn.pth', '--out', 'x.txt'], 'must end in .json'),
    ],
)
def test_test_refuses(config, capsys, arguments, words):
    with open('torn.pth', 'wb') as file:
        file.write(b'PK\x03\x04')
    assert words in refused(capsys, 'test', config, *arguments)


def test_test_leaves_the_config_of_the_training(config):
    tool('train', config)
    work_dir = osp.join('work_dirs', config.stem)
    dumped = osp.join(work_dir, config.name)
    before = open(dumped).read()
    tool('test', dumped, osp.join(work_dir, 'epoch_4.pth'), '--cfg-options', 'model.noise=9.0')
    assert open(dumped).read() == before and osp.isdir(osp.join(work_dir, 'test'))


def test_debug_shows_the_traceback(config, capsys):
    with pytest.raises(SystemExit):
        tool('train', config, '--resume', 'nowhere.pth', '--debug')
    assert 'Traceback' in capsys.readouterr().err


@pytest.mark.slow
def test_killed_and_resumed(config):
    """SIGKILL at some moment, then --resume: the same prompts, bit for bit."""
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join([ROOT, osp.join(ROOT, 'tests')]))
    options = ['train_cfg.max_epochs=15', 'model.noise=0.3']
    command = [
        sys.executable,
        osp.join(ROOT, 'tools', 'train.py'),
        str(config),
        '--cfg-options',
        *options,
        '--work-dir',
    ]
    subprocess.run([*command, 'whole'], env=environment, check=True, capture_output=True)
    process = subprocess.Popen(
        [*command, 'part'], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while not osp.exists('part/epoch_4.pth') and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL and not osp.exists('part/epoch_15.pth')
    subprocess.run([*command, 'part', '--resume'], env=environment, check=True, capture_output=True)
    wanted = read_checkpoint('whole/epoch_15.pth')['state_dict']
    found = read_checkpoint('part/epoch_15.pth')['state_dict']
    assert all(torch.equal(wanted[name], found[name]) for name in wanted)
