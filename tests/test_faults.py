"""Faults caused on purpose: what is said, and that nothing is lost."""

import os
import random
import re
import shlex
import signal
import subprocess
import sys

import helpers.faulty  # noqa: F401  registers
import numpy as np
import pytest
import torch
from helpers.tools import refused, tool
from mmengine.config import Config
from mmengine.hooks import Hook
from mmpretrain.registry import HOOKS

from mmdpt.engine import CheckpointError, latest_checkpoint, read_checkpoint
from mmdpt.engine.explain import explain
from mmdpt.engine.interrupts import same_command

FOUR = 'epoch_4.pth'


@HOOKS.register_module(force=True)
class Fault(Hook):
    """Does something bad in the second iteration of the third epoch."""

    def __init__(self, kind, place=None):
        self.kind, self.place = kind, place

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter != 7:
            return
        if self.kind in ('SIGINT', 'SIGTERM'):
            os.kill(os.getpid(), getattr(signal, self.kind))
        elif self.kind == 'torch':
            torch.empty(2**55)
        elif self.kind == 'numpy':
            np.empty(2**55)
        elif self.kind == 'cuda':
            raise torch.OutOfMemoryError('CUDA out of memory. Tried to allocate 20.00 GiB.')
        elif self.kind == 'disk':
            fill(self.place)


def faulty(path, **changes):
    """Changes a config file."""
    cfg = Config.fromfile(path)
    cfg.merge_from_dict(changes)
    cfg.default_hooks.report.enable = False
    cfg.dump(path)


def fill(folder):
    """Leaves no byte free."""
    with open(os.path.join(folder, 'filler'), 'wb') as file:
        for size in (4096, 64):
            try:
                while True:
                    os.write(file.fileno(), b'x' * size)
            except OSError:
                pass


def equal_after_resume(config, capsys):
    """Whether the resumed training in 'run' ends as one without a fault."""
    faulty(config, custom_hooks=[])  # which is a change
    tool('train', config, '--work-dir', 'run', '--resume-with-changes')
    tool('train', config, '--work-dir', 'whole')
    wanted, found = (read_checkpoint(f'{d}/{FOUR}')['state_dict'] for d in ('whole', 'run'))
    return all(torch.equal(wanted[name], found[name]) for name in wanted)


@pytest.mark.parametrize('kind, status', [('SIGINT', 130), ('SIGTERM', 143)])
@pytest.mark.parametrize('interval', [1, 10])
def test_stopped_by_a_signal(config, capsys, kind, status, interval):
    """The last complete epoch is saved, also if it was not yet time to."""
    before = signal.getsignal(signal.SIGTERM)
    faulty(
        config,
        custom_hooks=[dict(type='Fault', kind=kind)],
        **{'default_hooks.checkpoint.interval': interval, 'model.noise': 0.3},
    )
    with pytest.raises(SystemExit) as end:
        tool('train', config, '--work-dir', 'run')
    told = capsys.readouterr().err
    assert end.value.code == status and 'Traceback' not in told
    assert 'stopped in epoch 3; what was complete is in' in told and 'run/epoch_2.pth' in told
    command = told.strip().splitlines()[-1].strip()
    assert shlex.split(command)[2:] == [str(config), '--work-dir', 'run', '--resume']
    assert latest_checkpoint('run').endswith('epoch_2.pth')
    assert signal.getsignal(signal.SIGTERM) is before
    assert equal_after_resume(config, capsys)


def test_command_to_go_on(monkeypatch):
    monkeypatch.setattr(
        'sys.argv',
        [
            'tools/train.py',
            'c.py',
            '--resume',
            'a b.pth',
            '--seed',
            '3',
            '--cfg-options',
            'x=a photo',
        ],
    )
    assert (
        same_command(True)
        == "python tools/train.py c.py --seed 3 --cfg-options 'x=a photo' --resume"
    )
    assert "--resume 'a b.pth'" in same_command(False)


@pytest.mark.parametrize('kind', ['torch', 'numpy', 'cuda'])
def test_out_of_memory(config, capsys, kind):
    """The first two are real: no computer has 32 petabytes."""
    faulty(config, custom_hooks=[dict(type='Fault', kind=kind)])
    with pytest.raises(SystemExit) as end:
        tool('train', config, '--work-dir', 'run')
    told = capsys.readouterr().err
    assert end.value.code == 1 and 'error: out of memory: ' in told
    for lever in (
        'train_dataloader.batch_size',
        'accumulative_counts',
        'text_checkpointing',
        'bf16',
        'shard_classes',
        'test_dataloader.batch_size',
    ):
        assert lever in told
    assert latest_checkpoint('run').endswith('epoch_2.pth')


def test_other_errors_are_not_explained():
    assert explain(RuntimeError('mat1 and mat2 shapes cannot be multiplied')) is None


def deadly(config, kind):
    """A dataset that kills its loading process, or has a bad image."""
    faulty(
        config,
        **{
            'train_dataloader.dataset.type': 'DeadlyDataset',
            'train_dataloader.dataset.kind': kind,
            'train_dataloader.num_workers': 1,
        },
    )


def test_killed_loading_process(config):
    """One line, and no waiting. In a process of its own: PyTorch raises from a
    signal handler, which may come late and hit another test."""
    deadly(config, 'kill')
    code = (
        'import sys, helpers.faulty, helpers.tools; '
        "helpers.tools.tool('train', sys.argv[1], '--work-dir', 'run')"
    )
    here = os.path.dirname(os.path.abspath(__file__))
    path = os.pathsep.join([here, os.path.dirname(here), os.environ.get('PYTHONPATH', '')])
    done = subprocess.run(
        [sys.executable, '-c', code, str(config)],
        capture_output=True,
        text=True,
        timeout=300,
        env=dict(os.environ, PYTHONPATH=path),
    )
    line, hint = done.stderr.strip().splitlines()[-2:]
    assert done.returncode == 1 and '--debug' in hint
    assert re.search(r'^error: the loading process \d+ died \(.*num_workers=0', line)


def test_death_told_late(config, capsys, monkeypatch):
    """The signal comes while the broken connection is being told."""

    def once(error):
        if isinstance(error, ConnectionError):
            raise RuntimeError('DataLoader worker (pid 7) is killed by signal: Killed.')
        return error

    def lost(runner):
        raise ConnectionResetError('reset by peer')

    monkeypatch.setattr('mmdpt.engine.cli.first_cause', once)
    monkeypatch.setattr('mmdpt.cli.train.train_or_stop', lost)
    line = refused(capsys, 'train', config, '--work-dir', 'run')
    assert line.startswith('error: the loading process 7 died (signal Killed)')


def test_bad_image_in_a_loading_process(config, capsys):
    deadly(config, 'image')
    assert (
        refused(capsys, 'train', config, '--work-dir', 'run')
        == "error: The image 'x/10.jpg' does not decode (truncated)."
    )


@pytest.fixture
def small_disk(tmp_path):
    """A real file system of half a megabyte."""
    place = tmp_path / 'disk'
    place.mkdir()
    mount = ['mount', '-t', 'tmpfs', '-o', 'size=512k', 'tmpfs', str(place)]
    if os.geteuid() or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip('only root may mount a small disk; test_checkpoint_hook.py fakes the error')
    yield place
    subprocess.run(['umount', '-l', str(place)])


def test_full_disk(config, capsys, small_disk):
    """The former checkpoint stays; with space again, training goes on."""
    faulty(config, custom_hooks=[dict(type='Fault', kind='disk', place=str(small_disk))])
    run = small_disk / 'run'
    with pytest.raises(SystemExit):
        tool('train', config, '--work-dir', run)
    told = capsys.readouterr().err
    assert (
        'cannot write ' in told
        and 'epoch_3.pth' in told
        and 'No space left' in told
        and 'free some space' in told
    )
    assert latest_checkpoint(str(run)).endswith('epoch_2.pth')
    assert sorted(p.name for p in run.glob('*.pth')) == ['epoch_1.pth', 'epoch_2.pth']
    (small_disk / 'filler').unlink()
    os.symlink(run, 'run')
    assert equal_after_resume(config, capsys)


@pytest.mark.parametrize('content', [b'', b'/some/where/epo', b'\xff\x00garbage', b'epoch_9.pth'])
def test_torn_pointer(config, capsys, content):
    faulty(config)
    tool('train', config, '--work-dir', 'run')
    with open('run/last_checkpoint', 'wb') as file:
        file.write(content)
    line = refused(capsys, 'train', config, '--work-dir', 'run', '--resume')
    assert 'run/last_checkpoint names' in line and line.endswith('--resume run/epoch_4.pth')


def test_damaged_newest_names_the_one_before(config, capsys):
    faulty(config)
    tool('train', config, '--work-dir', 'run')
    with open(f'run/{FOUR}', 'r+b') as file:
        file.truncate(3000)
    line = refused(capsys, 'train', config, '--work-dir', 'run', '--resume')
    assert f'{FOUR} is damaged' in line and '--resume ' in line and 'epoch_3.pth' in line
    line = refused(
        capsys, 'train', config, '--work-dir', 'new', '--cfg-options', f'load_from=run/{FOUR}'
    )
    assert f'{FOUR} is damaged' in line


def test_checkpoint_of_a_training_cut_and_flipped(config, capsys):
    """200 lengths and 600 bytes, among them all parts of the zip's directory."""
    from helpers.kill_and_resume import differences

    faulty(config)
    tool('train', config, '--work-dir', 'run')
    with open(f'run/{FOUR}', 'rb') as file:
        data = file.read()
    whole, rng, refusals = read_checkpoint(f'run/{FOUR}'), random.Random(0), 0

    def same_or_refused(damaged):
        with open('damaged.pth', 'wb') as file:
            file.write(damaged)
        try:
            found = read_checkpoint('damaged.pth')
        except CheckpointError as error:
            assert 'damaged.pth' in str(error)
            return 1
        assert differences(found, whole) == []
        return 0

    for length in rng.sample(range(len(data)), 200):
        assert same_or_refused(data[:length])
    directory = data.rindex(b'PK\x05\x06') - 2000
    places = rng.sample(range(len(data)), 200) + rng.sample(range(directory, len(data)), 400)
    for place in places:
        damaged = bytearray(data)
        damaged[place] ^= rng.randrange(1, 256)
        refusals += same_or_refused(bytes(damaged))
    assert refusals > 200


def test_work_dir_that_cannot_be(config, capsys):
    open('file', 'w').close()
    assert 'file' in refused(capsys, 'train', config, '--work-dir', 'file/run')
