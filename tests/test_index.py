"""The index of ImageNet's files: fresh, safe, fast, small."""

import json
import os
import subprocess
import sys

import pytest
from helpers.trees import put, write_tree

from mmdpt.datasets import FewShotDataset, get_layout, index
from mmdpt.datasets.index import list_images


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    for name in ('b', 'a'):
        for i in (2, 10, 1):
            put(tmp_path / 'images' / name / f'{i}.JPEG')
    put(tmp_path / 'images/a/.hidden.jpg')
    (tmp_path / 'images/a/notes.txt').write_text('no image')
    return tmp_path / 'images'


def listed(folder):
    return list_images(str(folder), ['b', 'a'], str(folder.parent / 'index'))


def add_unseen(folder):
    """Add an image to each folder in a way that only a new listing would see."""
    for path in [p for p in folder.rglob('*') if p.is_dir()]:
        times = path.stat().st_atime_ns, path.stat().st_mtime_ns
        put(path / 'unseen.JPEG')
        os.utime(path, ns=times)


WANTED = dict(b=['1.JPEG', '10.JPEG', '2.JPEG'], a=['1.JPEG', '10.JPEG', '2.JPEG'])


def test_second_time_reads_the_index(folder):
    assert listed(folder) == WANTED
    add_unseen(folder)
    found = listed(folder)
    assert found == WANTED and list(found) == ['b', 'a']


def test_changed_folder_is_listed_again(folder):
    listed(folder)
    os.remove(folder / 'a/1.JPEG')
    os.utime(folder / 'a', ns=(1, 1))  # times may be coarse
    assert listed(folder)['a'] == ['10.JPEG', '2.JPEG']


@pytest.mark.parametrize(
    'damage',
    [
        lambda data: data[: len(data) // 2],
        lambda data: b'',
        lambda data: data.replace(b'10.JPEG', b'11.JPEG'),
    ],
)
def test_damaged_index_is_made_again(folder, damage):
    listed(folder)
    file = folder.parent / 'index'
    good = file.read_bytes()
    file.write_bytes(damage(good))
    assert listed(folder) == WANTED
    assert file.read_bytes() == good
    assert len(list(folder.parent.glob('*'))) == 2  # no leftovers


def forged(folder, change):
    """An index whose content is changed and whose checksum is right again."""
    file = folder.parent / 'index'
    good = file.read_bytes()
    content = json.loads(good.split(b'\n', 1)[1])
    content = change(content) or content
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    file.write_bytes(index._checksum(body) + b'\n' + body)
    return file, good


@pytest.mark.parametrize(
    'change',
    [
        lambda c: c['names'].pop(),
        lambda c: c['names'].append('1.JPEG'),
        lambda c: c['names'].__setitem__(0, '../../x.JPEG'),
        lambda c: c['names'].__setitem__(0, '..'),
        lambda c: c['names'].__setitem__(0, '1.JPEG//2.JPEG'),
        lambda c: c['names'].__setitem__(0, '2.JPEG/1.JPEG'),
        lambda c: c['names'].__setitem__(0, '1.JPEG/1.JPEG'),
        lambda c: c['names'].__setitem__(0, '1.JPEG/notes.txt'),
        lambda c: c['names'].__setitem__(0, '.1.JPEG'),
        lambda c: c['names'].__setitem__(0, '1\0.JPEG'),
        lambda c: c['names'].__setitem__(0, ['1.JPEG']),
        lambda c: c['names'].__setitem__(0, None),
        lambda c: c.update(names=dict(b='1.JPEG', a='1.JPEG')),
        lambda c: c.update(names=3),
        lambda c: c.update(more=1),
        lambda c: c.pop('names') and None,
        lambda c: [c],
        lambda c: b'null',
        lambda c: b'[' * 100000,
        lambda c: b'\xff',
    ],
)
def test_forged_index_is_not_believed(folder, change):
    listed(folder)
    file, good = forged(folder, change)
    assert file.read_bytes() != good
    assert listed(folder) == WANTED and file.read_bytes() == good


@pytest.mark.parametrize('kind', ['pipe', 'device', 'folder', 'huge'])
def test_index_that_is_no_file(folder, kind, monkeypatch):
    """Never opened; the list goes beside the user's caches or is made each time."""
    file = folder.parent / 'index'
    if kind == 'pipe':
        os.mkfifo(file)
        monkeypatch.setattr(index, 'write_atomically', lambda *args: None)
    elif kind == 'device':
        file.symlink_to('/dev/zero')
        monkeypatch.setattr(index, 'write_atomically', lambda *args: None)
    elif kind == 'folder':
        file.mkdir()
    else:
        with open(file, 'wb') as stream:
            stream.truncate(2**40)
    assert listed(folder) == WANTED


def test_name_with_a_line_end(folder):
    put(folder / 'a' / 'one\ntwo.JPEG')
    put(folder / 'b' / 'caf\udce9.JPEG')  # no UTF-8
    first = listed(folder)
    assert 'one\ntwo.JPEG' in first['a'] and 'caf\udce9.JPEG' in first['b']
    assert listed(folder) == first == list_images(str(folder), ['b', 'a'])


def test_read_only_data(folder, monkeypatch):
    real = index.write_atomically

    def write(content, path):
        if not path.startswith(os.environ['XDG_CACHE_HOME']):
            raise PermissionError('read-only')
        real(content, path)

    monkeypatch.setattr(index, 'write_atomically', write)
    assert listed(folder) == WANTED
    add_unseen(folder)
    assert listed(folder) == WANTED
    assert not (folder.parent / 'index').exists()


def test_empty_class_stays_empty(folder):
    for file in (folder / 'a').glob('*'):
        file.unlink()
    assert listed(folder) == listed(folder) == dict(WANTED, a=[])


def test_imagenet_keeps_one(tmp_path):
    folder = write_tree(tmp_path, 'ImageNet')
    kwargs = dict(data_root=str(tmp_path), shots=2)
    first = FewShotDataset('ImageNet', **kwargs).draw_hash
    assert sorted(p.name for p in folder.glob('mmdpt_index_*')) == [
        'mmdpt_index_train.json',
        'mmdpt_index_val.json',
    ]
    text = (folder / 'mmdpt_index_train.json').read_text()
    assert str(tmp_path) not in text and json.loads(text.split('\n', 1)[1])
    add_unseen(folder)
    assert FewShotDataset('ImageNet', **kwargs).draw_hash == first
    assert len(get_layout('ImageNet', str(tmp_path)).read().train) == 36


MILLION = """
import json, sys, time
from mmdpt.datasets import FewShotDataset
def memory(kind):
    with open('/proc/self/status') as file:
        return int(file.read().split(kind + ':')[1].split()[0]) / 1024
start, before = time.process_time(), memory('VmRSS')
dataset = FewShotDataset('ImageNet', data_root=sys.argv[1], seed=1,
                         shots=int(sys.argv[2]) or None, lazy_init=True)
drawn = dataset.load_data_list()
print(json.dumps(dict(seconds=time.process_time() - start, drawn=len(drawn),
                      mib=memory('VmHWM') - before)))
"""


def write_million(root, classes=1000, images=1281):
    """An index of 1.28 million images that are not there."""
    folder = root / 'imagenet'
    synsets = [f'n{i:08d}' for i in range(classes)]
    (folder / 'images').mkdir(parents=True)
    (folder / 'classnames.txt').write_text(''.join(f'{s} class {s}\n' for s in synsets))
    for part, count in dict(train=images, val=50).items():
        place = folder / 'images' / part
        key = []
        for synset in synsets:
            (place / synset).mkdir(parents=True)
            key.append([synset, os.stat(place / synset).st_mtime_ns])
        names = {s: [f'{s}_{i:05d}.JPEG' for i in range(count)] for s in synsets}
        index._write_index(str(folder / f'mmdpt_index_{part}.json'), key, names)


@pytest.mark.slow
def test_a_million_images(tmp_path):
    """Draws in under 5 s, the list in under 1 GiB."""
    write_million(tmp_path)
    for shots, count in ((16, 16000), (0, 1281000)):
        run = subprocess.run(
            [sys.executable, '-c', MILLION, str(tmp_path), str(shots)],
            capture_output=True,
            text=True,
            check=True,
        )
        found = json.loads(run.stdout.splitlines()[-1])
        print(found)
        assert found['drawn'] == count
        assert found['mib'] < 1024
        assert found['seconds'] < 5 or not shots
