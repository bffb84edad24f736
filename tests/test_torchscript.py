"""Weights in TorchScript archives are read as torch would read them, and nothing in them runs."""

import pickle
import struct
import time
import zipfile
from pathlib import Path

import pytest
import torch
import torch.nn as nn
from helpers.clip_files import Archive
from helpers.plain import small_clip

from mmdpt.models.clip.load import load_clip
from mmdpt.models.clip.torchscript import read_torchscript
from mmdpt.models.clip.weights import read_weights

pytestmark = pytest.mark.filterwarnings('ignore::DeprecationWarning')


class Tower(nn.Module):
    """Parameters, buffers, and attributes that no state dict has."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 2)
        self.blocks = nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4), nn.Linear(4, 2, bias=False))
        self.twin = nn.LayerNorm(4)
        self.scale = nn.Parameter(torch.tensor(2.0))
        self.register_buffer('count', torch.tensor(7))
        self.register_buffer('flag', torch.tensor([True, False]))
        self.register_buffer('turned', torch.arange(12.0).reshape(3, 4).t())
        self.register_buffer('empty', torch.empty(0, 3))
        self.mask = torch.full((2, 2), float('-inf'))
        self.names, self.sizes, self.some = ['a'], [1, 2], {'x': 1.5}

    def forward(self, x):
        return self.blocks(self.twin(self.conv(x).mean((2, 3)))) * self.scale + self.mask[0]


def towers():
    torch.manual_seed(0)
    tower, images = Tower().eval(), torch.zeros(1, 3, 4, 4)
    yield 'scripted', torch.jit.script(tower)
    yield 'traced', torch.jit.trace(tower, images)
    yield 'half', torch.jit.script(Tower().half())
    yield 'bfloat', torch.jit.script(Tower().bfloat16())
    yield 'double', torch.jit.script(Tower().double())
    yield 'openai', torch.jit.script(Archive({'visual.proj': torch.ones(2, 3), 'a.b.c.d': images}))


@pytest.mark.parametrize('name', dict(towers()))
def test_the_same_tensors(name, tmp_path):
    path = str(tmp_path / 'weights.pt')
    torch.jit.save(dict(towers())[name], path)
    wanted, found = torch.jit.load(path).state_dict(), read_torchscript(path)
    assert sorted(found) == sorted(wanted) and len(found) > 3
    for key, tensor in wanted.items():
        assert found[key].dtype == tensor.dtype
        torch.testing.assert_close(found[key], tensor.detach(), rtol=0, atol=0)


def test_torch_does_not_load_it(tmp_path, monkeypatch):
    torch.jit.save(torch.jit.script(Tower()), str(tmp_path / 'weights.pt'))
    for name in ('jit.load', '_C.import_ir_module'):
        monkeypatch.setattr(f'torch.{name}', lambda *_, **__: pytest.fail('code was loaded'))
    assert len(read_weights(tmp_path / 'weights.pt')[0]) == 14


class Endless(nn.Module):
    """Its code runs when torch loads it."""

    def __init__(self):
        super().__init__()
        self.register_buffer('weight', torch.ones(3))
        self.training = False

    def forward(self, x):
        return x

    @torch.jit.export
    def __getstate__(self):
        return self.weight, self.training

    @torch.jit.export
    def __setstate__(self, state: tuple[torch.Tensor, bool]):
        while bool((state[0] > 0).all()):
            state[0].add_(1)
        self.weight = state[0]
        self.training = state[1]


def refused(path, words):
    start = time.perf_counter()
    with pytest.raises(ValueError, match=words) as caught:
        read_weights(Path(path))
    assert time.perf_counter() - start < 10
    assert str(path) in str(caught.value) and '\n' not in str(caught.value)


def test_code_that_runs_on_loading(tmp_path):
    torch.jit.save(torch.jit.script(Endless()), str(tmp_path / 'weights.pt'))
    refused(tmp_path / 'weights.pt', 'holds no state dict')


def op(text):
    return b'U' + bytes([len(text)]) + text.encode()


MODULE = b'c__torch__.a\nB\n'
TENSOR = b'ctorch._utils\n_rebuild_tensor_v2\n(('
NUMBERS = op('storage') + b'ctorch\nFloatStorage\n' + op('0') + op('cpu')
STORAGE = NUMBERS + b'K\x04tQ'
READ = b'K\x00K\x04\x85K\x01\x85tR'
GOOD = TENSOR + STORAGE + READ


def module(value, name='weight'):
    """A module with one attribute."""
    return MODULE + b')\x81}' + op(name) + value + b'sb'


def chain(levels):
    """Modules of which each holds the next one twice."""
    out = MODULE + b')\x81q\x00'
    for level in range(1, levels):
        part = b'h' + bytes([level - 1])
        out += MODULE + b')\x81q' + bytes([level])
        out += b'}(' + op('a') + part + op('b') + part + b'ub'
    return out


HOSTILE = {
    'a call': b'cos\nsystem\n' + op('touch ran') + b'\x85R',
    'a call in a module': module(b'cos\nsystem\n' + op('touch ran') + b'\x85R'),
    'a module of Python': b'cposix\nsystem\n' + op('touch ran') + b'\x85R',
    'builtins': b'cbuiltins\neval\n' + op("open('ran', 'w')") + b'\x85R',
    'a way through a module': b'c__torch__.os\nsystem\n' + op('touch ran') + b'\x85R',
    'a dotted name': b'ctorch\nhub.load\n' + op('touch ran') + b'\x85R',
    'a storage that is none': b'ctorch\nload\n' + op('touch ran') + b'\x85R',
    'torch jit': b'ctorch.jit._pickle\nloads\n' + op('x') + b'\x85R',
    'an extension': b'\x82\x01',
    'an instance': b'(' + op('touch ran') + b'ios\nsystem\n',
    'shared modules': chain(60),
    'in itself': MODULE + b')\x81q\x00}' + op('a') + b'h\x00sb',
    'deep': module(b'(' * 10 + MODULE + b')\x81' + b'l' * 10),
    'nothing': b'N',
    'a tensor alone': GOOD,
    'another number of values': module(TENSOR + NUMBERS + b'J\xff\xff\xff\x7ftQ' + READ),
    'no numbers there': module(TENSOR + STORAGE + b'K\x00K\x08\x85K\x01\x85tR'),
    'repeated': module(TENSOR + STORAGE + b'K\x00\x8a\x06\x00\x00\x00\x00\x00\x01\x85K\x00\x85tR'),
    'before the start': module(TENSOR + STORAGE + b'J\xff\xff\xff\xffK\x04\x85K\x01\x85tR'),
    'steps back': module(TENSOR + STORAGE + b'K\x03K\x04\x85J\xff\xff\xff\xff\x85tR'),
    'another part': module(TENSOR + NUMBERS.replace(op('0'), op('../0')) + b'K\x04tQ' + READ),
    'packed numbers': module(
        TENSOR + NUMBERS.replace(op('0'), op('bomb')) + b'J\x00\x94\x35\x77tQ' + READ
    ),
    'a method of a tensor': module(GOOD + b'}' + op('isfinite') + b'ccollections\nOrderedDict\nsb'),
    'a place that is none': module(b'K\x01Q'),
    'many steps': b'K\x010' * 300_000 + b'N',
    'nested tuples as a key': b'}K\x01\x85q\x00h\x00h\x00\x86q\x01'
    + b'h\x01h\x01\x86q\x01' * 60
    + b'K\x01s',
}  # fmt: skip


def written(path, pickled, **parts):
    """An archive of one class with the parameter ``weight``."""
    text = 'class B(Module):\n  __parameters__ = ["weight", ]\n  __buffers__ = []\n'
    with zipfile.ZipFile(path, 'w') as archive:
        archive.writestr('x/data.pkl', b'\x80\x02' + pickled + b'.')
        archive.writestr('x/code/__torch__/a.py', text, compress_type=zipfile.ZIP_DEFLATED)
        archive.writestr('x/data/0', struct.pack('<4f', *parts.get('values', (1, 2, 3, 4))))
        if 'bomb' in parts:
            archive.writestr('x/data/bomb', bytes(10**8), compress_type=zipfile.ZIP_DEFLATED)


@pytest.mark.parametrize('case', HOSTILE)
def test_hostile_pickles(case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    written('weights.pt', HOSTILE[case], **({'bomb': 1} if case == 'packed numbers' else {}))
    refused('weights.pt', 'cannot be read as CLIP weights|holds no')
    assert not Path('ran').exists()


def test_the_written_archive_is_read_where_it_is_good(tmp_path):
    written(tmp_path / 'weights.pt', module(GOOD))
    found = read_torchscript(str(tmp_path / 'weights.pt'))
    assert found['weight'].tolist() == [1, 2, 3, 4]


@pytest.mark.parametrize('form', ['weights.pt', 'legacy.pt', 'weights.safetensors'])
@pytest.mark.parametrize('value', ['nan', 'inf', 'integers'])
def test_weights_that_are_no_numbers(form, value, tmp_path):
    import safetensors.torch

    torch.manual_seed(0)
    weights = {k: v.clone() for k, v in load_clip(small_clip(), None).model.state_dict().items()}
    name = 'visual.conv1.weight'
    if value == 'integers':
        weights[name] = weights[name].int()
    else:
        weights[name].view(-1)[5] = float(value)
    path = tmp_path / form
    if form.endswith('safetensors'):
        safetensors.torch.save_file(weights, path)
    else:
        torch.save(weights, path, _use_new_zipfile_serialization=form != 'legacy.pt')
    words = 'holds numbers of type torch.int32' if value == 'integers' else 'holds NaN or infinite'
    with pytest.raises(ValueError, match=f'{name} {words}'):
        load_clip(small_clip(), str(path))


@pytest.mark.parametrize('new', [True, False])
def test_state_dicts_that_would_take_for_ever(new, tmp_path):
    """Tuples that share their items, as a key, whose hash torch would compute."""
    path = tmp_path / 'weights.pt'
    pair = b'K\x01\x85q\x00h\x00h\x00\x86q\x01' + b'h\x01h\x01\x86q\x01' * 60
    evil = b'\x80\x02}' + pair + b'K\x01s.'
    if new:
        with zipfile.ZipFile(path, 'w') as archive:
            archive.writestr('x/data.pkl', evil)
            archive.writestr('x/version', b'3')
            archive.writestr('x/byteorder', b'little')
    else:
        magic = [pickle.dumps(v, 2) for v in (0x1950A86A20F9469CFC6C, 1001, {})]
        path.write_bytes(b''.join(magic) + evil + pickle.dumps([], 2))
    refused(path, 'values, counted as often as they occur')
