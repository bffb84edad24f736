"""Few-shot draws that are read from files."""

import json

import pytest
from helpers.tiny_benchmark import TINY, paths_of, write_tiny_benchmark

from mmdpt.datasets import FewShotDataset
from mmdpt.datasets.split_files import read_split


@pytest.fixture
def root(tmp_path):
    return write_tiny_benchmark(tmp_path)


def write(root, rows, part='train', shots=2, seed=1):
    folder = root / 'tiny' / 'split_fewshot'
    folder.mkdir(exist_ok=True)
    lines = [r if isinstance(r, str) else json.dumps(r) for r in rows]
    (folder / f'shot_{shots}-seed_{seed}_{part}.jsonl').write_text('\n'.join(lines) + '\n')


def row(item, prefix='tiny/images/'):
    return dict(_impath=prefix + item.path, _label=item.label, _domain=0, _classname=item.name)


def drawn(items, count=2):
    """The last images of each class, in the list's order."""
    kept = [[i for i in items if i.label == label][-count:] for label in range(3)]
    return [i for i in items if any(i in k for k in kept)]


def lists(root):
    return read_split(str(root / 'tiny' / 'split.json'))


def dataset(root, **options):
    options = dict(dict(shots=2, seed=1, draws='split_fewshot'), **options)
    return FewShotDataset(TINY, str(root), **options)


@pytest.mark.parametrize('prefix', ['tiny/images/', 'images/', '', '/home/they/data/tiny/images/'])
def test_the_images_of_the_file_in_its_order(root, prefix):
    split = lists(root)
    train, val = drawn(split.train), drawn(split.val)
    write(root, [row(i, prefix) for i in train])
    write(root, [row(i, prefix) for i in val], 'val')
    found = dataset(root)
    assert paths_of(found) == [i.path for i in train]
    assert [found.get_data_info(i)['gt_label'] for i in range(6)] == [i.label for i in train]
    assert paths_of(dataset(root, split='val')) == [i.path for i in val]
    assert found.draw_hash != dataset(root, draws=None).draw_hash
    assert len(dataset(root, split='test')) == 9  # never drawn


def test_base_and_new(root):
    """Labels in the file are those of all classes; ceil(3 / 2) are base."""
    split = lists(root)
    write(root, [row(i) for i in drawn(split.train)])
    write(root, [row(i) for i in drawn(split.val)], 'val')
    base = dataset(root, subset='base')
    wanted = [i for i in drawn(split.train) if i.label < 2]
    assert paths_of(base) == [i.path for i in wanted] and base.metainfo['classes'] == ('ant', 'bee')


def test_missing_file(root):
    with pytest.raises(FileNotFoundError, match='shot_2-seed_1_train.jsonl'):
        len(dataset(root))


@pytest.mark.parametrize(
    'change, message',
    [
        (lambda rows: rows.__setitem__(1, '{"_impath": 3'), 'Line 2 of .* is not valid JSON'),
        (lambda rows: rows.__setitem__(1, '[1]'), 'Line 2 of .*expected {"_impath"'),
        (lambda rows: rows[0].pop('_label'), 'Line 1 of .*expected {"_impath"'),
        (lambda rows: rows[0].update(_label='0'), 'Line 1 of .*expected'),
        (lambda rows: rows[0].update(_label=True), 'Line 1 of .*expected'),
        (lambda rows: rows[0].update(more=1), 'Line 1 of .*expected'),
        (lambda rows: rows[2].update(_impath='tiny/images/x.png'), 'Line 3 .*another split file'),
        (lambda rows: rows[2].update(_classname='dog'), "Line 3 .*'dog'"),
        (lambda rows: rows[2].update(_label=9), 'Line 3 .*of class 9'),
        (lambda rows: rows.append(rows[0]), 'twice'),
        (lambda rows: rows.__setitem__(slice(None), [r for r in rows if r['_label']]), '0 images'),
    ],
)
def test_refused_files(root, change, message):
    split = lists(root)
    rows = [row(i) for i in drawn(split.train)]
    change(rows)
    write(root, rows)
    write(root, [row(i) for i in drawn(split.val)], 'val')
    with pytest.raises(ValueError, match=message):
        len(dataset(root))


def test_too_many_images_of_a_class(root):
    split = lists(root)
    write(root, [row(i) for i in drawn(split.train, 3)])
    write(root, [row(i) for i in drawn(split.val)], 'val')
    with pytest.raises(ValueError, match='has 3 images of class 2.*expected 2'):
        len(dataset(root))


def test_fewer_images_of_a_class_on_request_only(root):
    """As with draws of ours; a class with fewer in the whole list is what it is."""
    split = lists(root)
    train = drawn(split.train)
    short = [i for i in train if i.label == train[0].label][1:] + [
        i for i in train if i.label != train[0].label
    ]
    write(root, [row(i) for i in short])
    write(root, [row(i) for i in drawn(split.val)], 'val')
    with pytest.raises(ValueError, match=r'has 1 images.*expected 2 \(with allow_fewer=True'):
        len(dataset(root))
    assert len(dataset(root, allow_fewer=True)) == 5


def test_a_test_image_is_none_to_train_on(root):
    split = lists(root)
    rows = [row(i) for i in drawn(split.train)]
    one = next(i for i in split.test if i.label == rows[0]['_label'])
    write(root, [row(one), *rows[1:]])
    write(root, [row(i) for i in drawn(split.val)], 'val')
    with pytest.raises(ValueError, match='Line 1 .*another split file'):
        len(dataset(root))
