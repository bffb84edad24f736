"""tools/check_dataset.py: good trees, and every kind of damage."""

import json
import sys
from unittest import mock

import numpy as np
import pytest
from helpers.tools import tool
from helpers.trees import DISK, write_photos, write_tree
from mmengine.logging import MMLogger
from PIL import Image

from mmdpt.datasets import BENCHMARKS, FewShotDataset, get_layout, own_benchmark, own_data
from mmdpt.datasets.doctor import check_dataset, missing_images


@pytest.fixture
def published(monkeypatch):
    """EuroSAT with the sizes of the small tree."""
    from dataclasses import replace

    small = replace(BENCHMARKS['EuroSAT'], sizes=(30, 20, 20))
    monkeypatch.setitem(BENCHMARKS, 'EuroSAT', small)


def wrong(root, name='EuroSAT', **options):
    findings = check_dataset(get_layout(name, str(root)), **options)
    return [f.text for f in findings if not f.ok]


def test_good_tree(tmp_path, published, capsys):
    write_tree(tmp_path, 'EuroSAT')
    assert wrong(tmp_path) == wrong(tmp_path, deep=True, workers=2) == []
    with pytest.raises(SystemExit) as end:
        tool('check_dataset', 'eurosat', '--data-root', tmp_path, '--json', tmp_path / 'found.json')
    assert end.value.code == 0
    out = capsys.readouterr().out
    for words in (
        '10 classes',
        '30/20/20 images',
        '70 images are there',
        'class order: Annual Crop Land, Forest',
        '1 of 1 in order',
    ):
        assert words in out
    found = json.loads((tmp_path / 'found.json').read_text())
    assert found['datasets']['EuroSAT']['ok']


def damage(folder, kind):
    image = folder / '2750/class_003/21.jpg'
    split = folder / 'split_zhou_EuroSAT.json'
    if kind == 'no folder':
        folder.rename(folder.parent / 'other')
    elif kind == 'no images':
        (folder / '2750').rename(folder / '2751')
    elif kind == 'no split':
        split.unlink()
    elif kind == 'counts':
        content = json.loads(split.read_text())
        content['train'] = content['train'][1:]
        split.write_text(json.dumps(content))
    elif kind == 'web page':
        split.write_text('<!DOCTYPE html>')
    elif kind == 'order':
        text = split.read_text()
        split.write_text(text.replace('"River"', '"Lake"'))
    elif kind == 'missing':
        image.unlink()
    elif kind == 'empty':
        image.write_bytes(b'')
    elif kind == 'truncated':
        image.write_bytes(image.read_bytes()[:-100])


@pytest.mark.parametrize(
    'kind, words',
    [
        ('no folder', 'is where it all belongs'),
        ('no images', '2750/ is not there'),
        ('no split', 'split_zhou_EuroSAT.json is not there'),
        ('counts', '29/20/20 images (train/val/test), published: 30/20/20'),
        ('web page', 'is not valid JSON'),
        ('order', "label 8 is 'Lake' instead of 'River'"),
        ('missing', '1 of 70 images are missing'),
        ('empty', '1 images do not decode; replace them with intact copies: '),
        ('truncated', 'class_003/21.jpg'),
    ],
)
def test_damage(tmp_path, published, kind, words):
    damage(write_tree(tmp_path, 'EuroSAT'), kind)
    assert any(words in text for text in wrong(tmp_path, deep=True))


def test_only_deep_sees_the_end_of_a_file(tmp_path, published):
    damage(write_tree(tmp_path, 'EuroSAT'), 'truncated')
    assert wrong(tmp_path) == [] != wrong(tmp_path, deep=True)


def test_all_without_data(tmp_path, capsys):
    with pytest.raises(SystemExit) as end:
        tool('check_dataset', 'all', '--data-root', tmp_path)
    out = capsys.readouterr().out
    assert end.value.code == 1 and '0 of 15 in order' in out
    assert out.count('Wanted: ') == 15
    for benchmark in BENCHMARKS.values():
        assert benchmark.source in out


@pytest.mark.parametrize('name', DISK)
def test_small_trees_lack_only_numbers(tmp_path, name):
    """Each layout is recognised; what is wrong are the counts."""
    write_tree(tmp_path, name)
    found = wrong(tmp_path, name, deep=True)
    assert found and all('published: ' in text for text in found)


def test_own_photos(tmp_path, capsys):
    photos = write_photos(tmp_path / 'photos')
    with pytest.raises(SystemExit) as end:
        tool('check_dataset', photos, '--deep', '--workers', '1')
    assert end.value.code == 0
    assert '21/0/9 images' in capsys.readouterr().out


def test_unknown_name():
    with pytest.raises(SystemExit, match="Unknown benchmark 'eurosats'"):
        tool('check_dataset', 'eurosats')
    with pytest.raises(SystemExit, match='Digits has no files'):
        tool('check_dataset', 'digits')


def test_missing_images_in_missing_folders(tmp_path):
    assert missing_images(str(tmp_path), ['b/2.jpg', 'a/1.jpg']) == ['a/1.jpg', 'b/2.jpg']


def notes(place, **options):
    findings = check_dataset(get_layout(own_benchmark(), str(place)), **options)
    assert all(f.ok for f in findings)
    return [f.text for f in findings if f.note]


def test_files_that_are_not_read_are_told(tmp_path, caplog):
    folder = write_photos(tmp_path / 'photos')
    assert notes(folder) == []
    for name in ('cup/a.heic', 'fork/b.HEIC', 'fork/c.avif', 'cup/.hidden.heic', 'list.txt'):
        (folder / name).write_text('x')
    (folder / 'cup/more').mkdir()
    (told,) = notes(folder)
    for words in ('5 files', '2 .heic', '1 .avif', '1 .txt', '1 folders below'):
        assert words in told
    logger = MMLogger.get_current_instance()
    own_data.TOLD.clear()  # said once per process
    with mock.patch.object(logger, 'log') as log:
        FewShotDataset({}, data_root=str(folder))
    assert any('5 files or folders are not read' in str(call) for call in log.call_args_list)


def test_folder_with_lists_tells_too(tmp_path):
    for part in ('train', 'test'):
        write_photos(tmp_path / part)
        (tmp_path / part / 'cup/a.heic').write_text('x')
    (told,) = notes(tmp_path)
    assert '2 files' in told and '2 .heic' in told


def test_few_images_of_a_class(tmp_path):
    folder = write_photos(tmp_path / 'photos', ('bird', 'fork'), 30)
    write_photos(folder, ('brid',), 3)
    (told,) = notes(folder)
    assert "'brid' has 3 (nearest: 'bird')" in told and "'fork'" not in told
    write_photos(folder, ('brid',), 4)
    write_photos(folder, ('bird', 'fork', 'more', 'cup'), 60)
    write_photos(folder, ('spoon',), 6)
    (told,) = notes(folder)
    assert "'spoon' has 6" in told and "'brid' has 4" in told and "'cup'" not in told


def test_pictures_that_look_alike(tmp_path, monkeypatch):
    folder = tmp_path
    for part in ('train', 'test'):
        write_photos(folder / part, count=5)
    assert notes(folder, deep=True) == []
    pixels = np.asarray(Image.open(folder / 'train/cup/0.jpg').resize((200, 200)))
    for part, quality in dict(train=95, test=40).items():
        Image.fromarray(pixels).save(folder / part / 'cup/saved.jpg', quality=quality)
    (told,) = notes(folder, deep=True)
    assert 'look alike' in told and "'train/cup/saved.jpg' (train)" in told
    monkeypatch.setitem(sys.modules, 'imagehash', None)
    (told,) = notes(folder, deep=True)
    assert 'pip install imagehash' in told
