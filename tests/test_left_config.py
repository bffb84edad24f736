"""Configs in work directories are read, never run."""

import os
from pathlib import Path

import pytest
from helpers.tools import ROOT, tool
from mmengine.config import Config

from mmdpt.results import find_runs
from mmdpt.results.left_config import MOST_BYTES, read_left_config

PLAIN = """
model = dict(arch='toy')
dataset = dict(name='Digits', subset='base')
randomness = dict(seed=3)
train_dataloader = dict(dataset=dict(type='RepeatDataset', dataset=dict(shots=4)))
default_hooks = dict(report=dict(method='mine'))
"""
RUNS = [
    "open('ran', 'w')",
    "import os\nos.mkdir('ran')",
    "x = open('ran', 'w')",
    "x = dict(a=open('ran', 'w'))",
    "x = [open('ran', 'w') for _ in (1,)]",
    "dict = lambda **x: open('ran', 'w')",
    "def dict(**x):\n    open('ran', 'w')",
    "_base_ = 'base.py'",
    "custom_imports = dict(imports=['base'], allow_failed_imports=False)",
    'x = f\'{open("ran", "w")}\'',
    "@open('ran', 'w').write\ndef f():\n    pass",
    "class A(metaclass=lambda *a: open('ran', 'w')):\n    pass",
    "model['arch'] = open('ran', 'w')",
    "with open('ran', 'w'):\n    pass",
    "x: open('ran', 'w') = 1",
    "if open('ran', 'w'):\n    pass",
]


@pytest.fixture
def started(tmp_path, monkeypatch):
    """A work directory of a training that was killed; returns its row."""
    monkeypatch.chdir(tmp_path)
    Path('run').mkdir()
    Path('run/epoch_1.pth').touch()
    for place in ('base.py', 'run/base.py'):  # older than the config
        Path(place).write_text("open('ran', 'w')")
        os.utime(place, (1, 1))

    def row(content):
        if content is not None:
            Path('run/dpt_tiny_digits_4shot.py').write_bytes(content)
        (found,) = find_runs(['run'])
        assert found.status == 'unfinished'
        return found

    return row


@pytest.mark.parametrize('code', RUNS)
def test_nothing_runs(started, code, capsys):
    for text in (f'{code}\n{PLAIN}', f'{PLAIN}\n{code}\n'):
        found = started(text.encode())
        tool('collect_results', 'run')
        assert not os.path.exists('ran')
        assert (found.method, found.dataset, found.subset) == ('mine', 'Digits', 'base')
        assert (found.shots, found.seed, found.arch) == (4, 3, 'toy')


@pytest.mark.parametrize('config', sorted(Path(ROOT, 'configs').glob('*/*_tiny_digits_16shot.py')))
def test_what_mmengine_writes_is_read(config, tmp_path):
    cfg = Config.fromfile(config)
    cfg.dump(tmp_path / 'left.py')
    again = Config.fromfile(tmp_path / 'left.py').to_dict()
    assert {**again} == Config(read_left_config(tmp_path / 'left.py')).to_dict()


@pytest.mark.parametrize(
    'content',
    [
        b'',
        b'\0',
        b'\xff\xfe',
        b'a = (',
        b'[' * 10**5,
        b'a = ' + b'-' * 10**5 + b'1',
        b'a = ' + b'+'.join([b'1'] * 10**5),
        b'x = 1\n' * MOST_BYTES,
        b'train_dataloader = [1]',
        b'train_dataloader = dict(dataset="abc")',
        b'train_dataloader = dict(dataset=dict(datasets=3))',
        b'train_dataloader = dict(dataset=dict(shots="four"))',
        b'dataset = "x"',
        b'dataset = dict(name=["x"])',
        b'randomness = dict(seed=1e9)',
        b'default_hooks = dict(report=3)',
        b'model = dict(arch=dict(embed_dim=3))',
        b'model = 3',
    ],
    ids=lambda content: content[:50].decode('latin-1'),
)
def test_what_is_no_config_drops_the_details(started, content):
    found = started(content)
    assert found.method in ('?', 'dpt') and found.arch in ('', 'tiny')
    assert (found.shots, found.seed) == (None, None)


def test_only_files_are_opened(started):
    os.mkfifo('run/z.py')
    os.mkdir('run/y.py')
    os.symlink('nowhere', 'run/x.py')
    assert started(PLAIN.encode()).method == 'mine'


def test_a_log_that_nobody_could_hold(started):
    os.makedirs('run/20260101_120000')
    with open('run/20260101_120000/20260101_120000.log', 'wb') as log:
        log.truncate(2**33)
    os.remove('run/epoch_1.pth')
    assert started(PLAIN.encode()).method == 'mine'
