"""One training at a time in a work directory, also after one was killed."""

import os
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
from helpers.engine_toy import hook, toy_config
from helpers.tools import ROOT, refused, tool
from mmengine.runner import Runner

from mmdpt.engine.cli import build_runner
from mmdpt.sweep.state import claim
from mmdpt.utils.locks import FolderLock, lock_work_dir

# holds a work directory, without torch; a forked process, as for loading images, outlives it
HOLDER = """
import importlib.util, os, sys, time
sys.modules['mmdpt'] = importlib.util.module_from_spec(importlib.util.find_spec('mmdpt'))
from mmdpt.utils.locks import lock_work_dir
lock = lock_work_dir(sys.argv[1])
child = os.fork()
if child:
    print(child, flush=True)
time.sleep(600)
"""


@pytest.fixture
def start():
    """Start a process that holds a folder; tell its number and its child's."""
    started = []

    def begin(folder):
        process = subprocess.Popen(
            [sys.executable, '-c', HOLDER, str(folder)],
            env=dict(os.environ, PYTHONPATH=ROOT),
            stdout=subprocess.PIPE,
            text=True,
        )
        child = int(process.stdout.readline())
        started.append((process, child))
        return process, child

    yield begin
    for process, child in started:
        process.kill()
        process.wait()
        os.kill(child, signal.SIGKILL)


def test_a_second_training_is_refused(config, capsys, start):
    """Before it writes anything; by a link to the folder, too."""
    process, _ = start('run')
    before = sorted(os.listdir('run'))
    os.symlink('run', 'link')
    for name in ('run', './run/', 'link'):
        line = refused(capsys, 'train', config, '--work-dir', name)
        assert f'another training is at work in {name} (process {process.pid} on ' in line
        assert line.endswith('wait for it, or give another --work-dir')
    assert sorted(os.listdir('run')) == before == ['.train.lock']
    tool('train', config, '--work-dir', 'other', '--cfg-options', 'train_cfg.max_epochs=1')
    assert os.path.exists('other/epoch_1.pth')


def test_a_killed_one_leaves_no_lock(config, start):
    """SIGKILL: free at once, though a process that it forked lives on."""
    process, child = start('run')
    process.send_signal(signal.SIGKILL)
    process.wait()
    os.kill(child, 0)  # still there
    tool('train', config, '--work-dir', 'run', '--cfg-options', 'train_cfg.max_epochs=1')
    assert os.path.exists('run/epoch_1.pth')


def test_a_real_training_killed(config, capsys):
    """tools/train.py holds the lock while it trains; killed, it can be resumed."""
    command = [sys.executable, f'{ROOT}/tools/train.py', str(config), '--work-dir', 'run']
    environment = dict(os.environ, PYTHONPATH=f'{ROOT}:{ROOT}/tests')
    process = subprocess.Popen(
        [*command, '--cfg-options', 'train_cfg.max_epochs=100000'],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        while not os.path.exists('run/last_checkpoint'):
            assert process.poll() is None
            time.sleep(0.05)
        line = refused(capsys, 'train', config, '--work-dir', 'run', '--resume')
        assert f'another training is at work in run (process {process.pid} ' in line
    finally:
        process.kill()
        process.wait()
    lock_work_dir('run').close()


def test_the_runner_alone_locks(tmp_path, start):
    """Without the command line: the hook asks, and lets go at the end."""
    start(tmp_path / 'run')
    with pytest.raises(ValueError, match='another training is at work'):
        Runner.from_cfg(toy_config(tmp_path / 'run')).train()

    seen = []

    def look(self, runner):
        path = f'{runner.work_dir}/.train.lock'
        with pytest.raises(ValueError, match=f'held by process {os.getpid()} '):
            FolderLock(path, 'held by {holder}')
        seen.append(path)

    runner = build_runner(toy_config(tmp_path / 'free', epochs=1))
    runner.register_hook(hook(before_train_epoch=look))
    runner.train()
    FolderLock(seen[0], 'held by {holder}').close()


def test_two_work_dirs_one_folder_of_checkpoints(tmp_path, start):
    """An out_dir of the checkpoints that another training writes to."""
    start(tmp_path / 'out' / 'run')
    cfg = toy_config(tmp_path / 'run')
    cfg.default_hooks.checkpoint.out_dir = str(tmp_path / 'out')
    with pytest.raises(ValueError, match=f'another training is at work in {tmp_path}/out/run'):
        build_runner(cfg).train()


def test_the_lock_ends_with_an_error(tmp_path):
    """A training that failed can be started again in the same process."""

    def fail(self, runner):
        raise RuntimeError('broken')

    for _ in range(2):
        runner = build_runner(toy_config(tmp_path, epochs=1))
        runner.register_hook(hook(before_train_epoch=fail))
        with pytest.raises(RuntimeError, match='broken'):
            runner.train()


def test_no_locks_on_this_file_system(tmp_path, monkeypatch):
    """Told, not passed over."""

    def flock(*args):
        raise OSError(37, 'No locks available')

    monkeypatch.setattr('fcntl.flock', flock)
    with pytest.raises(OSError, match='cannot lock .*No locks available.*--work-dir'):
        lock_work_dir(str(tmp_path))


def test_a_run_of_another_config_is_not_moved_away_while_it_trains(tmp_path):
    """A job of a cluster outlives its sweep."""
    runs = [SimpleNamespace(name='a', hash=h, source='c.py', tool='train') for h in ('1', '2')]
    claim(runs[0], str(tmp_path))
    with FolderLock(str(tmp_path / 'a' / '.sweep.lock'), ''):
        with open(tmp_path / 'a' / '.sweep.lock', 'w') as file:
            file.write('7')
        with pytest.raises(ValueError, match='which still trains there: wait for it'):
            claim(runs[1], str(tmp_path))
    assert claim(runs[1], str(tmp_path)) == f'{tmp_path}/a.1'
