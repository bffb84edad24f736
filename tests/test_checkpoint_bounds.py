"""Checkpoints that stand for more than they hold, or for what nothing can compute with."""

import io
import pickle
import struct
import time
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.checkpoints import saved
from helpers.tools import tool
from PIL import Image

from mmdpt.apis import PromptInferencer
from mmdpt.engine import CheckpointError, read_checkpoint


@pytest.fixture(scope='module')
def good(tmp_path_factory):
    """A checkpoint of the built-in CLIP."""
    path = tmp_path_factory.mktemp('good') / 'good.pth'
    saved('coop', str(path))
    return path


def shared(kind, levels=60, wide=2):
    """Nested lists, tuples or dicts that are one object on each level."""
    value = kind([1])
    for _ in range(levels):
        value = kind([value] * wide)
    return value


def shared_dicts(levels=60):
    value = {}
    for _ in range(levels):
        value = dict(a=value, b=value)
    return value


def deep(levels=150):
    value = []
    for _ in range(levels):
        value = [value]
    return value


def own_list():
    value = []
    value.append(value)
    return value


def context(tensor):
    return lambda c: c['state_dict'].update({'text_prompt.context': tensor})


def classes(value):
    return lambda c: c['meta']['mmdpt'].update(classes=value)


def meta(value):
    return lambda c: c['meta'].update(x=value)


def spoilt(value, at=0):
    tensor = torch.zeros(4, 128)
    tensor.view(-1)[at] = value
    return tensor


def attribute(checkpoint):
    state = OrderedDict(checkpoint['state_dict'])
    state.copy = 'evil'
    checkpoint['state_dict'] = state


def metadata(entry):
    def change(checkpoint):
        checkpoint['state_dict']._metadata = OrderedDict({'': entry})

    return change


HUGE = {
    'shared lists': meta(shared(list)),
    'shared tuples': meta(shared(tuple)),
    'shared wide lists': meta(shared(list, 7, 1000)),
    'shared dicts': meta(shared_dicts()),
    'tuple as a key': meta({shared(tuple, 20): 1}),
    'shared class names': classes(shared(list)),
    'shared in the hub': lambda c: c.update(message_hub=dict(runtime_info=dict(a=shared(list)))),
    'shared in the recipe': lambda c: c['meta']['mmdpt']['recipe'].update(pipeline=shared(list)),
    'shared in the optimizer': lambda c: c.update(optimizer=shared_dicts()),
    'a list in itself': meta(own_list()),
    'deep': meta(deep()),
    'a million templates': lambda c: c['meta']['mmdpt']['recipe']['model'].update(
        templates=['a {}.'] * 10**6
    ),
    'two million numbers': meta(list(range(2 * 10**6))),
    'a million classes': classes([str(i) for i in range(10**6)]),
    'a hundred thousand classes': classes(['a'] * 10**5),
    'a long name': classes(['a' * 10**6, 'b', 'c']),
    'a long number': meta(10**100_000),
    'a long text': meta('a' * (2 * 10**7)),
    'repeated tensor': context(torch.zeros(1).expand(10**12)),
    'repeated rows': context(torch.zeros(1, 128).expand(10**9, 128)),
    'one tensor in ten thousand places': lambda c: c.update(
        x=[torch.zeros(10**6)] + [torch.zeros(10**6)[:]] * 3000
    ),
    'sparse': context(torch.sparse_coo_tensor([[0], [0]], [1.0], (10**6, 10**6))),
    'meta': context(torch.empty(10**6, 10**6, device='meta')),
}
WRONG = {
    'nan': context(spoilt(float('nan'))),
    'nan at the end': context(spoilt(float('nan'), -1)),
    'infinite': context(spoilt(float('inf'))),
    'minus infinite': context(spoilt(float('-inf'))),
    'half nan': context(spoilt(float('nan')).half()),
    'bfloat nan': context(spoilt(float('nan')).bfloat16()),
    'huge': context(spoilt(1e30)),
    'nan elsewhere': lambda c: c.update(optimizer=dict(state={0: spoilt(float('nan'))})),
    'nan in averages': lambda c: c.update(ema_state_dict=dict(a=spoilt(float('nan')))),
    'complex': context(torch.zeros(4, 128, dtype=torch.complex64)),
    'quantized': context(torch.quantize_per_tensor(torch.zeros(4, 128), 0.1, 0, torch.qint8)),
    'number': context(1.0),
    'list': context([1.0]),
    'none': context(None),
    'text': context('x'),
    'numbered': lambda c: c['state_dict'].update({1: torch.zeros(1)}),
    'averages are a list': lambda c: c.update(ema_state_dict=[1]),
    'meta is a list': lambda c: c.update(meta=[1]),
    'entry is a list': lambda c: c['meta'].update(mmdpt=[1]),
    'classes are a dict': classes(dict(a=1)),
    'classes are numbers': classes([1, 2, 3]),
    'one name is a list': classes(['a', ['b'], 'c']),
    'a lone surrogate': classes(['a\ud800', 'b', 'c']),
    'a lone surrogate as a name': meta({'\udfff': 1}),
    'recipe is a list': lambda c: c['meta']['mmdpt'].update(recipe=[1]),
    'clip is text': lambda c: c['meta']['mmdpt'].update(clip='x'),
    'attribute': attribute,
    'metadata is text': metadata('x'),
    'metadata of numbers': metadata(dict(version='x')),
    'metadata of no class': metadata(dict(version=1, mmdpt=dict(classes=5))),
    'a dtype': meta(torch.float32),
    'a size': meta(torch.device('cpu')),
}


def is_refused(path):
    start = time.perf_counter()
    with pytest.raises((CheckpointError, ValueError)) as caught:
        PromptInferencer(str(path), device='cpu')
    assert time.perf_counter() - start < 10
    text = str(caught.value)
    text.encode()
    assert '\n' not in text and len(text) < 800


@pytest.mark.parametrize('case', {**HUGE, **WRONG})
def test_content(good, tmp_path, case):
    checkpoint = torch.load(good, weights_only=True)
    {**HUGE, **WRONG}[case](checkpoint)
    torch.save(checkpoint, tmp_path / 'evil.pth')
    is_refused(tmp_path / 'evil.pth')


def rewritten(good, path, change):
    """A copy of the archive, its parts changed by name."""
    with zipfile.ZipFile(good) as old, zipfile.ZipFile(path, 'w') as new:
        change({n: old.read(n) for n in old.namelist()}, new)


def compressed(parts, archive):
    for name, data in parts.items():
        archive.writestr(name, data, compress_type=zipfile.ZIP_DEFLATED)
    archive.writestr('good/data/bomb', bytes(10**8), compress_type=zipfile.ZIP_DEFLATED)


def doubled(parts, archive):
    for name, data in parts.items():
        archive.writestr(name, data)
        if name.endswith('data.pkl'):
            archive.writestr(name.replace('data.pkl', 'DATA.PKL'), data)


def many(parts, archive):
    for name, data in parts.items():
        archive.writestr(name, data)
    for i in range(100_001):
        archive.writestr(f'good/x{i}', b'')


def replaced(pickled):
    def change(parts, archive):
        for name, data in parts.items():
            archive.writestr(name, pickled if name.endswith('data.pkl') else data)

    return change


def filled_late():
    """Lists put into their place first and filled then, so that no size is known in time."""
    out = io.BytesIO()
    out.write(b'\x80\x02]q\x00')
    for i in range(1, 60):
        out.write(b']q' + bytes([i]) + b'0' + b'h' + bytes([i - 1]))
        out.write((b'h' + bytes([i]) + b'a') * 2 + b'0')
    out.write(b'}(U\nstate_dicth\x00u.')
    return out.getvalue()


ARCHIVES = {
    'compressed': compressed,
    'two pickles': doubled,
    'many parts': many,
    'no pickle': replaced(b''),
    'a pickle cut short': replaced(b'\x80\x02}('),
    'nothing put': replaced(b'\x80\x02\x85.'),
    'unknown memo': replaced(b'\x80\x02h\x05.'),
    'filled late': replaced(filled_late()),
    'code': replaced(b'\x80\x02cos\nsystem\nU\x0ctouch hackedq\x00\x85R.'),
    'a long text that is not there': replaced(b'\x80\x02X' + struct.pack('<I', 2**32 - 1) + b'a.'),
    'many marks': replaced(b'\x80\x02' + b'(' * 10**6 + b'.'),
    'many pops': replaced(b'\x80\x02' + b'0' * 10**6 + b'.'),
    'a list a million times': replaced(b'\x80\x02]q\x00' + b'h\x00\x85' * 10**6 + b'.'),
}


@pytest.mark.parametrize('case', ARCHIVES)
def test_archives(good, tmp_path, monkeypatch, case):
    monkeypatch.chdir(tmp_path)
    rewritten(good, 'evil.pth', ARCHIVES[case])
    is_refused('evil.pth')
    assert not Path('hacked').exists()


def test_a_bare_pickle(tmp_path):
    (tmp_path / 'evil.pth').write_bytes(pickle.dumps(shared(list)))
    is_refused(tmp_path / 'evil.pth')


def test_the_largest_that_is_real(good, tmp_path):
    """A method's file for 1,000 classes with an optimizer is far from all bounds."""
    checkpoint = torch.load(good, weights_only=True)
    checkpoint['state_dict'] = OrderedDict(
        (f'layer{i}.weight', torch.randn(20, 20)) for i in range(1000)
    )
    checkpoint['optimizer'] = dict(
        state={i: dict(step=torch.tensor(1.0), exp_avg=torch.randn(20, 20)) for i in range(1000)}
    )
    checkpoint['meta']['mmdpt']['classes'] = [f'class number {i}' for i in range(21_841)]
    torch.save(checkpoint, tmp_path / 'large.pth')
    start = time.perf_counter()
    read = read_checkpoint(str(tmp_path / 'large.pth'))
    assert time.perf_counter() - start < 10 and len(read['state_dict']) == 1000


def test_scores_that_are_not_finite_are_no_answer(good, tmp_path, monkeypatch):
    """Whatever made them so."""
    monkeypatch.chdir(tmp_path)
    infer = PromptInferencer(str(good), device='cpu')
    infer.model.scale.fill_(float('nan'))
    Image.fromarray(np.zeros((32, 32, 3), np.uint8)).save('a.png')
    with pytest.raises(FloatingPointError, match='not finite'):
        infer('a.png')


def test_the_command_says_one_line(good, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    checkpoint = torch.load(good, weights_only=True)
    WRONG['nan'](checkpoint)
    torch.save(checkpoint, 'evil.pth')
    Image.fromarray(np.zeros((32, 32, 3), np.uint8)).save('a.png')
    with pytest.raises(SystemExit) as stop:
        tool('predict', 'evil.pth', '.')
    said = capsys.readouterr().err
    assert stop.value.code == 1 and 'state_dict.text_prompt.context holds NaN' in said
    assert 'Traceback' not in said
