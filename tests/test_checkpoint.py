"""Reading checkpoints: safe, complete, or refused with a reason."""

import os
import pickle
import random
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch

from mmdpt.engine import CheckpointError, latest_checkpoint, read_checkpoint
from mmdpt.engine.checkpoint import plain


@pytest.fixture
def saved(tmp_path):
    """A small checkpoint on the disk."""
    state = OrderedDict(prompt=torch.arange(200.0), scale=torch.ones(3))
    state._metadata = {'': dict(mmdpt=dict(classes=['a']))}
    path = tmp_path / 'epoch_1.pth'
    torch.save(dict(state_dict=state, meta=dict(epoch=1)), path)
    return path


def test_plain_keeps_values_and_converts():
    state = OrderedDict(w=torch.ones(2))
    state._metadata = {'': dict(version=np.int64(1))}
    given = dict(a=np.float64(0.5), b=(1, [np.bool_(True)]), c=Path('/x'), d=np.arange(2), s=state)
    out = plain(given)
    assert type(out['a']) is float and out['a'] == 0.5
    assert out['b'] == (1, [True]) and type(out['b'][1][0]) is bool
    assert out['c'] == '/x' and torch.equal(out['d'], torch.arange(2))
    assert type(out['s']) is OrderedDict and type(out['s']._metadata['']['version']) is int


def test_plain_names_the_place():
    with pytest.raises(TypeError, match=r"checkpoint\['a'\]\[1\] is a builtins.object"):
        plain(dict(a=[0, object()]))


def test_reads(saved):
    checkpoint = read_checkpoint(str(saved))
    assert torch.equal(checkpoint['state_dict']['prompt'], torch.arange(200.0))
    assert checkpoint['state_dict']._metadata['']['mmdpt'] == dict(classes=['a'])


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match='no checkpoint file .*nowhere.pth.*work_dirs'):
        read_checkpoint(str(tmp_path / 'nowhere.pth'))


def test_cut_short(saved):
    data = saved.read_bytes()
    lengths = random.Random(0).sample(range(len(data)), 50)
    for length in [0, 1, len(data) - 1] + lengths:
        saved.write_bytes(data[:length])
        with pytest.raises(CheckpointError, match=r'epoch_1\.pth is damaged'):
            read_checkpoint(str(saved))


def test_flipped_bits_are_refused_or_harmless(saved):
    data, wanted = saved.read_bytes(), read_checkpoint(str(saved))['state_dict']
    rng, refused = random.Random(0), 0
    for _ in range(200):
        place = rng.randrange(len(data))
        damaged = bytearray(data)
        damaged[place] ^= 1 << rng.randrange(8)
        saved.write_bytes(bytes(damaged))
        try:
            found = read_checkpoint(str(saved))['state_dict']
        except CheckpointError as error:
            refused += str(saved) in str(error)
        else:
            assert all(torch.equal(found[k], wanted[k]) for k in wanted)
    assert refused > 50


def test_every_bit_of_the_directory(saved):
    """One of them marks a tensor as a folder, of which torch reads nothing."""
    data, wanted = saved.read_bytes(), read_checkpoint(str(saved))['state_dict']
    marked = []
    for place in range(data.index(b'PK\x01\x02'), len(data)):
        damaged = bytearray(data)
        damaged[place] ^= 0x10
        saved.write_bytes(bytes(damaged))
        try:
            found = read_checkpoint(str(saved))['state_dict']
        except CheckpointError as error:
            marked += ['marked as a folder'] * ('marked as a folder' in str(error))
        else:
            assert all(torch.equal(found[k], wanted[k]) for k in wanted)
    assert marked


class Evil:
    """Runs a command when unpickled."""

    def __reduce__(self):
        return os.system, ('touch hacked',)


@pytest.mark.parametrize('where', ['state_dict', 'meta', 'other'])
def test_code_is_refused(tmp_path, monkeypatch, where):
    monkeypatch.chdir(tmp_path)
    checkpoint = dict(state_dict={}, meta={}, other={})
    checkpoint[where]['x'] = Evil()
    torch.save(checkpoint, 'evil.pth')
    with pytest.raises(CheckpointError, match='evil.pth is refused.*could run code'):
        read_checkpoint('evil.pth')
    assert os.listdir() == ['evil.pth']


def test_bare_pickle_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path('evil.pth').write_bytes(pickle.dumps(dict(state_dict=Evil())))
    with pytest.raises(CheckpointError, match='evil.pth is damaged, cut short or not a checkpoint'):
        read_checkpoint('evil.pth')
    assert os.listdir() == ['evil.pth']


def test_config_text_that_resume_would_execute(tmp_path):
    path = str(tmp_path / 'evil.pth')
    torch.save(dict(state_dict={}, meta=dict(config='import os')), path)
    with pytest.raises(CheckpointError, match='refused.*run as Python'):
        read_checkpoint(path)


@pytest.mark.parametrize('content', [torch.ones(2), dict(weight=torch.ones(2)), [1]])
def test_other_files(tmp_path, content):
    path = str(tmp_path / 'other.pth')
    torch.save(content, path)
    with pytest.raises(CheckpointError, match="no 'state_dict'"):
        read_checkpoint(path)


def test_latest(tmp_path):
    assert latest_checkpoint(str(tmp_path)) is None
    assert latest_checkpoint(str(tmp_path / 'none')) is None
    for epoch in (2, 10):
        (tmp_path / f'epoch_{epoch}.pth').touch()
    assert latest_checkpoint(str(tmp_path)) == str(tmp_path / 'epoch_10.pth')
    (tmp_path / 'last_checkpoint').write_text('/elsewhere/epoch_2.pth')  # a moved folder
    assert latest_checkpoint(str(tmp_path)) == str(tmp_path / 'epoch_2.pth')
    (tmp_path / 'epoch_2.pth').unlink()
    with pytest.raises(
        CheckpointError, match=("'/elsewhere/epoch_2.pth', which does not exist.*epoch_10.pth")
    ):
        latest_checkpoint(str(tmp_path))
