"""The cache of frozen work: its place, what files say of themselves, and the command."""

import json
import os
import re
import time

import pytest
import safetensors.torch
import torch
from helpers.checkpoints import TINY
from helpers.tools import tool
from mmpretrain.registry import MODELS

from mmdpt.cli.arguments import cache as arguments
from mmdpt.evaluation import frozen_features, kept_files
from mmdpt.utils import cache
from mmdpt.utils.files import write_atomically

DAY = 24 * 3600


class Random:
    """Images in memory, as a dataset gives them."""

    pipeline = 'Compose(\n    LoadPILImage(), \n    CenterCrop(32), \n)'
    metainfo = dict(benchmark='Noise', subset='new', shots=4, seed=2)
    split = 'train'

    def __init__(self, seed=0):
        noise = torch.Generator().manual_seed(seed)
        self.pixels = torch.randint(0, 256, (5, 3, 32, 32), dtype=torch.uint8, generator=noise)
        self.images = {f'{seed}/{i}': image.numpy() for i, image in enumerate(self.pixels)}
        self.name = seed

    def __len__(self):
        return 5

    def get_data_info(self, index):
        return dict(img_path=f'{self.name}/{index}')

    def __getitem__(self, index):
        return dict(inputs=self.pixels[index])


@pytest.fixture(scope='module')
def model():
    return MODELS.build(dict(TINY, classes=['ant', 'bee'])).eval()


@pytest.fixture
def place(tmp_path, monkeypatch):
    """An empty folder to work in; the cache is in its usual place there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(cache.VARIABLE, raising=False)
    return tmp_path


def kept(model, folder=True, **options):
    """Path of the file that a first look at some images leaves."""
    place = cache.cache_folder(folder)
    before = set(os.listdir(place)) if os.path.isdir(place) else set()
    frozen_features(model, Random(options.pop('seed', 0)), cache_dir=folder, **options)
    (name,) = set(os.listdir(place)) - before
    return os.path.join(place, name)


def listed(*options):
    """What ``mmdpt cache`` writes of the files."""
    tool('cache', *options, '--json', 'listed.json', '--overwrite')
    return json.loads(open('listed.json').read())['files']


def test_one_place_unless_something_is_said(place, monkeypatch):
    assert cache.cache_folder(True) == 'work_dirs/cache'
    assert cache.cache_folder(None) is cache.cache_folder(False) is None
    monkeypatch.setenv(cache.VARIABLE, 'shared')
    assert cache.cache_folder(True) == 'shared' and cache.cache_folder('mine') == 'mine'
    assert arguments.KINDS == cache.KINDS


def test_files_say_what_they_hold(place, model, monkeypatch, capsys):
    told = []
    monkeypatch.setattr(kept_files, 'print_log', lambda line, **_: told.append(line))
    path = kept(model)
    assert os.path.dirname(path) == 'work_dirs/cache'
    frozen_features(model, Random(), cache_dir=True)
    size = os.path.getsize(path)
    assert told == [
        f'Image features of 5 images {what} {path} ({size / 1e6:.2f} MB)'
        for what in ('kept in', 'read from')
    ]
    kept(model, view=3)
    plain, view = sorted(listed(), key=lambda one: one['view'] or 0)
    assert (plain['view'], view['view']) == (None, 3) and plain['path'] == path
    assert plain['bytes'] == size and plain['images'] == 5 and plain['kind'] == 'features'
    assert plain['data'] == 'Noise train, new classes, 4 shots, seed 2'
    assert plain['fingerprint'] == model.clip_identity['fingerprint']
    assert plain['transforms'] == repr(Random.pipeline)
    lines = capsys.readouterr().out.splitlines()
    assert re.split(r' {2,}', lines[0]) == [
        *('kind', 'model', 'data', 'transforms', 'view', 'images', 'size', 'last used')
    ]
    total = cache.megabytes(sum(one['bytes'] for one in (plain, view)))
    assert lines[3] == f'work_dirs/cache: 2 files, {total}'


def test_every_kind_has_a_key_of_its_own(place, model):
    paths = {kept(model), kept(model, kind='pooled'), kept(model, view=0), kept(model, seed=1)}
    assert len(paths) == 4
    assert {one['kind'] for one in listed()} == {'features', 'pooled'}
    both = [frozen_features(model, Random(), kind=kind) for kind in ('features', 'pooled')]
    again = [
        frozen_features(model, Random(), kind=kind, cache_dir=True)
        for kind in ('features', 'pooled')
    ]
    assert all(torch.equal(a, b) for a, b in zip(both, again)) and both[0].shape != both[1].shape


def test_last_use_is_that_of_a_reading(place, model):
    path = kept(model)
    then = time.time_ns() - 40 * DAY * 10**9
    os.utime(path, ns=(then, then))
    assert listed()[0]['used'] == pytest.approx(then / 1e9) == pytest.approx(listed()[0]['used'])
    tool('cache', 'clear', '--older-than', '41')
    assert os.path.isfile(path)
    frozen_features(model, Random(), cache_dir=True)
    assert time.time() - listed()[0]['used'] < DAY and os.stat(path).st_mtime_ns == then
    tool('cache', 'clear', '--older-than', '1')
    assert os.path.isfile(path)


def test_clear_takes_what_was_asked_for(place, model, capsys):
    old, pooled, new = kept(model), kept(model, kind='pooled'), kept(model, seed=1)
    then = time.time() - 40 * DAY
    os.utime(old, (then, then))
    sizes = {path: os.path.getsize(path) for path in (old, pooled, new)}
    capsys.readouterr()
    tool('cache', 'clear', '--older-than', '30', '--dry-run')
    size = cache.megabytes(sizes[old])
    assert f'would free {size}, 1 file;' in capsys.readouterr().out and os.path.isfile(old)
    tool('cache', 'clear', '--older-than', '30', '--kind', 'pooled')
    assert 'freed 0.00 MB, 0 files' in capsys.readouterr().out
    tool('cache', 'clear', '--older-than', '30')
    assert f'freed {size}, 1 file;' in capsys.readouterr().out
    assert [os.path.isfile(path) for path in (old, pooled, new)] == [False, True, True]
    tool('cache', 'clear', '--kind', 'pooled')
    assert [os.path.isfile(path) for path in (pooled, new)] == [False, True]
    tool('cache', 'clear', '--all')
    assert os.listdir('work_dirs/cache') == [] and not listed()


def header(path):
    data = open(path, 'rb').read()
    return json.loads(data[8 : 8 + int.from_bytes(data[:8], 'little')])['__metadata__']


def others_files(path, whole):
    """Names and contents that are not the cache's; ``path``: of one that is."""
    tensor = dict(features=torch.zeros(2, 2))
    about = json.loads(header(path)['mmdpt'])
    yield 'notes.txt', b'mine'
    yield 'model.safetensors', whole
    yield 'a' * 32 + '.safetensors', safetensors.torch.save(tensor)
    yield 'b' * 32 + '.safetensors', safetensors.torch.save(tensor, dict(mmdpt='{}'))
    yield 'c' * 32 + '.safetensors', whole  # a copy
    for name, changes in dict(d=dict(kind='x'), e=dict(format=2), f=dict(extra=1)).items():
        said = dict(about, key=name * 32, **changes)
        yield f'{name * 32}.safetensors', safetensors.torch.save(tensor, dict(mmdpt=str(said)))
        said = json.dumps(said)
        yield f'{name}1' * 16 + '.safetensors', safetensors.torch.save(tensor, dict(mmdpt=said))
    for digit, data in enumerate((b'', b'x' * 5, b'\xff' * 90, whole[:-1], whole + b'x')):
        yield f'{digit}' * 32 + '.safetensors', data
    deep = b'[' * 60_000
    yield '9' * 32 + '.safetensors', len(deep).to_bytes(8, 'little') + deep


def test_nothing_but_its_own_is_removed(place, model, capsys):
    path = kept(model)
    folder, whole = os.path.dirname(path), open(path, 'rb').read()
    files = dict(others_files(path, whole))
    assert len(files) > 15
    for name, data in files.items():
        write_atomically(data, os.path.join(folder, name))
    half = f'.{os.path.basename(path)}.77.abcd.tmp'  # as write_atomically has it
    files[half] = whole[:100]
    write_atomically(files[half], os.path.join(folder, half))
    outside = place / 'outside'
    outside.mkdir()
    linked = kept(model, str(outside), seed=3)
    os.symlink(linked, os.path.join(folder, os.path.basename(linked)))
    os.symlink(outside, os.path.join(folder, 'deeper'))
    os.mkdir(os.path.join(folder, '7' * 32 + '.safetensors'))
    os.mkfifo(os.path.join(folder, '8' * 32 + '.safetensors'))
    assert [one['path'] for one in listed()] == [path]
    assert 'left alone: ' in capsys.readouterr().out
    tool('cache', 'clear', '--all')
    assert not os.path.exists(path) and os.path.isfile(linked)
    for name, data in files.items():
        assert open(os.path.join(folder, name), 'rb').read() == data, name
    assert len(os.listdir(folder)) == len(files) + 4


def test_another_process_clears_at_the_same_time(place, model, monkeypatch, capsys):
    from mmdpt.cli import cache as command

    path = kept(model)
    show = command.show

    def meanwhile(found):
        show(found)
        os.unlink(path)

    monkeypatch.setattr(command, 'show', meanwhile)
    command.main(['clear', '--all'])
    assert 'freed 0.00 MB, 0 files' in capsys.readouterr().out


@pytest.mark.parametrize(
    'options, words',
    [
        (('clear',), 'either --all, or'),
        (('clear', '--all', '--kind', 'logits'), 'either --all, or'),
        (('--all',), 'go with clear'),
        (('list', '--dry-run'), 'go with clear'),
        (('clear', '--older-than', '-1'), '0 or more'),
        (('clear', '--older-than', 'nan'), '0 or more'),
        (('--dir', 'nowhere'), 'nowhere is no folder'),
    ],
)
def test_mistakes(place, options, words, capsys):
    with pytest.raises(SystemExit) as end:
        tool('cache', *options)
    assert end.value.code
    assert words in f'{end.value.code}{capsys.readouterr().err}'


def test_an_empty_cache(place, capsys):
    tool('cache')
    assert capsys.readouterr().out == 'work_dirs/cache: 0 files, 0.00 MB\n'
    (place / 'mine').mkdir()
    tool('cache', 'list', '--dir', 'mine')
    assert capsys.readouterr().out == 'mine: 0 files, 0.00 MB\n'
