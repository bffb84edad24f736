"""The same picture under several names, across lists and classes."""

import json
import os
import shutil
import time

import numpy as np
import pytest
from helpers.trees import DISK, write_photos, write_tree

from mmdpt.datasets import FewShotDataset, Item, Split, get_layout, own_benchmark
from mmdpt.datasets import twins as module
from mmdpt.datasets.doctor import check_dataset
from mmdpt.datasets.twins import Place, find_alike, find_twins, leaks, places

NAMES = ('cup', 'fork')


@pytest.fixture
def folder(tmp_path):
    for part in ('train', 'val', 'test'):
        write_photos(tmp_path / part, NAMES, 6)
    return tmp_path


def train(folder, **options):
    return FewShotDataset(options, data_root=str(folder), split='train')


def copy(folder, source, target):
    shutil.copy(source, target)


LINKS = [
    copy,
    lambda folder, source, target: os.link(source, target),
    lambda folder, source, target: target.symlink_to(source),
    lambda folder, source, target: target.symlink_to(os.path.relpath(source, target.parent)),
]


@pytest.mark.parametrize('make', LINKS)
@pytest.mark.parametrize('part', ['val', 'test'])
def test_training_refuses_a_copy(folder, make, part):
    assert len(train(folder)) == 12
    make(folder, folder / 'train/cup/0.jpg', folder / part / 'cup/other name.PNG')
    with pytest.raises(ValueError) as error:
        train(folder)
    for words in ('1 picture', 'train/cup/0.jpg', 'other name.PNG', 'dataset.allow_leaks=True'):
        assert words in str(error.value)
    assert len(train(folder, allow_leaks=True)) == 12
    for split in ('val', 'test'):  # a trained model may still be tested
        assert len(FewShotDataset({}, data_root=str(folder), split=split)) >= 12


def test_copies_between_val_and_test(folder):
    shutil.copy(folder / 'val/cup/0.jpg', folder / 'test/fork/x.jpg')
    with pytest.raises(ValueError, match='in more than one list'):
        train(folder)


def test_folder_in_another_spelling(tmp_path):
    """Two folder names for one folder, in a split file."""
    write_photos(tmp_path / 'img', NAMES, 4)
    (tmp_path / 'IMG').symlink_to(tmp_path / 'img')
    one = [[f'img/{n}/{i}.jpg', k, n] for k, n in enumerate(NAMES) for i in range(4)]
    two = [[p.replace('img', 'IMG'), k, n] for p, k, n in one]
    file = tmp_path / 'split.json'
    file.write_text(json.dumps(dict(train=one, val=[], test=two)))
    with pytest.raises(ValueError, match='8 picture.* in more than one list'):
        train(file)


def test_check_tells(folder):
    shutil.copy(folder / 'train/cup/0.jpg', folder / 'test/cup/x.jpg')
    shutil.copy(folder / 'train/cup/1.jpg', folder / 'train/fork/x.jpg')
    findings = check_dataset(get_layout(own_benchmark(), str(folder)))
    wrong = [f.text for f in findings if not f.ok]
    assert any('1 pictures are in more than one list' in text for text in wrong)
    assert any('1 pictures are in more than one class' in text for text in wrong)


@pytest.mark.parametrize('name', sorted(set(DISK) & {'EuroSAT', 'ImageNet', 'FGVCAircraft'}))
def test_published_lists_are_as_they_are(tmp_path, name):
    """Copies in them are told, and refused by nobody."""
    write_tree(tmp_path, name)  # eight pictures, over and over
    findings = check_dataset(get_layout(name, str(tmp_path)))
    assert [f for f in findings if f.ok and f.note and 'more than one list' in f.text]
    assert len(FewShotDataset(name, data_root=str(tmp_path))) > 10


def test_equal_sizes_are_told_apart(tmp_path):
    """Beginning, middle or size alike, content not."""
    for i in range(20):
        content = bytearray(20000)
        content[-1 - i] = 1  # beyond the sample
        (tmp_path / f'{i}.png').write_bytes(content)
    (tmp_path / 'same.png').write_bytes((tmp_path / '7.png').read_bytes())
    items = [Item(f'{i}.png', 0, 'a') for i in range(20)]
    found = leaks(find_twins(str(tmp_path), places(Split(items, [], [Item('same.png', 0, 'a')]))))
    assert [[p.path for p in group] for group in found] == [['7.png', 'same.png']]


def test_only_files_of_equal_size_are_opened(tmp_path, monkeypatch):
    for i in range(9):
        (tmp_path / f'{i}.png').write_bytes(bytes(1 + i))
    os.mkfifo(tmp_path / 'pipe.png')
    (tmp_path / 'empty.png').touch()
    monkeypatch.setattr(module, 'open_regular', lambda *args: pytest.fail('opened'))
    names = [*(f'{i}.png' for i in range(9)), 'pipe.png', 'empty.png', 'missing.png']
    assert find_twins(str(tmp_path), [Place('train', name, 'a') for name in names]) == []


def test_alike_across_lists_only():
    rng = np.random.default_rng(0)
    hashes = rng.integers(0, 2, (300, 64)).astype(bool)
    hashes[200], hashes[201], hashes[2] = hashes[0], hashes[1], hashes[3]
    hashes[200, :4] ^= True  # 4 bits: alike
    hashes[201, :5] ^= True
    pictures = [Place('train' if i < 150 else 'test', str(i), 'a') for i in range(300)]
    found = [[p.path for p in pair] for pair in find_alike(pictures, hashes)]
    assert found == [['0', '200']]


@pytest.mark.slow  # wall-clock time
def test_fast(tmp_path):
    pictures = []
    for i in range(5000):
        (tmp_path / f'{i}.png').write_bytes(np.random.bytes(5000))
        pictures.append(Place('train' if i % 2 else 'test', f'{i}.png', 'a'))
    began = time.perf_counter()
    assert find_twins(str(tmp_path), pictures) == []
    assert time.perf_counter() - began < 5
