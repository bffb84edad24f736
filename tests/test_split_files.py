"""Split files: their form and their classes."""

import json

import pytest

from mmdpt.datasets import Item, Split, check_classes, check_paths, read_split

CLASSES = ('ant', 'bee', 'cat')


@pytest.mark.parametrize(
    'text, words',
    [
        ('<!DOCTYPE html>', 'not valid JSON .* Download it again'),
        ('[]', 'holds a list, expected'),
        ('{"train": [], "val": []}', "no list 'test'"),
        ('{"train": [], "val": {}, "test": []}', "no list 'val'"),
        (
            '{"train": [["a.jpg", "0", "ant"]], "val": [], "test": []}',
            r"train\[0\] .* is \['a.jpg', '0', 'ant'\], expected",
        ),
        ('{"train": [], "val": [["a.jpg", 0]], "test": []}', r'val\[0\]'),
        (
            '{"train": [["/a.jpg", 0, "ant"]], "val": [], "test": []}',
            r'train\[0\] .*relative image path',
        ),
        ('{"train": [["a.jpg", -1, "ant"]], "val": [], "test": []}', r'label from 0'),
    ],
)
def test_malformed_split_file(tmp_path, text, words):
    path = tmp_path / 'split.json'
    path.write_text(text)
    with pytest.raises(ValueError, match=words) as error:
        read_split(str(path))
    assert str(path) in str(error.value)


def split_of(*names, labels=None):
    labels = range(len(names)) if labels is None else labels
    items = [[f'{i}.jpg', i, n] for i, n in zip(labels, names)]
    return dict(train=items, val=items, test=items)


@pytest.mark.parametrize(
    'split, words',
    [
        (split_of(), r'too few classes: \[\]; .* at least 2'),
        (split_of('ant'), r"too few classes: \['ant'\]"),
        (
            split_of('ant', 'bee', 'cat', labels=(0, 1, 3)),
            r'no image with label\(s\) \[2\]; .* from 0 to 3 without gaps',
        ),
        (
            split_of('ant', 'bee', 'bug', labels=(0, 1, 1)),
            "Label 1 .* two class names, 'bee' and 'bug'",
        ),
        (split_of('ant', 'cat', 'bee'), "in the class order: label 1 is 'cat' instead of 'bee'"),
        (split_of('ant', 'bee', 'dog'), "in the class names: label 2 is 'dog' instead of 'cat'"),
        (split_of('ant', 'bee', 'cat', 'dog'), 'has 4 classes, the benchmark has 3'),
    ],
)
def test_classes_of_a_split_file_are_checked(tmp_path, split, words):
    path = tmp_path / 'split.json'
    path.write_text(json.dumps(split))
    with pytest.raises(ValueError, match=words):
        check_classes(read_split(str(path)), str(path), CLASSES)


def test_huge_label_costs_nothing(tmp_path):
    """A set of all labels up to it would fill the memory."""
    for label in (10**9, 10**30):
        path = tmp_path / 'split.json'
        path.write_text(json.dumps(split_of('ant', 'bee', labels=(0, label))))
        with pytest.raises(ValueError, match=f'label {label}, but 6 images; labels must run'):
            check_classes(read_split(str(path)), str(path))


@pytest.mark.parametrize(
    'text',
    [
        '[' * 10**6,
        '{"train":' * 10**5,
        '{"train": [], "train": [], "val": [], "test": []}',
        '{"train": [[' + '[' * 900 + ']' * 900 + ', 0, "ant"]], "val": [], "test": []}',
        '{"train": [["a.jpg", 1' + '0' * 5000 + ', "ant"]], "val": [], "test": []}',
        '{"train": [["a.jpg", NaN, "ant"]], "val": [], "test": []}',
        '{"train": [["a.jpg", 1e999, "ant"]], "val": [], "test": []}',
        '{"train": [["a.jpg", true, "ant"]], "val": [], "test": []}',
        '{"train": [["a\\u0000.jpg", 0, "ant"]], "val": [], "test": []}',
        '{"train": [["a\\ud800.jpg", 0, "ant"]], "val": [], "test": []}',
        '{"train": [["' + 'a' * 10**6 + '", -1, "ant"]], "val": [], "test": []}',
    ],
)
def test_hostile_split_file(tmp_path, text):
    path = tmp_path / 'split.json'
    path.write_text(text)
    with pytest.raises(ValueError) as error:
        read_split(str(path))
    assert str(path) in str(error.value)
    assert len(str(error.value)) < 800 and len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize('name', ['', ' ', 'a\nb', '\x1b[31mred', 'x' * 301, '\ud800'])
def test_class_names_can_be_shown(tmp_path, name):
    path = tmp_path / 'split.json'
    path.write_text(json.dumps(split_of('ant', name)))
    with pytest.raises(ValueError, match='class name .*Rename it'):
        check_classes(read_split(str(path)), str(path))


def test_huge_split_file(tmp_path):
    path = tmp_path / 'split.json'
    with open(path, 'wb') as file:
        file.truncate(2**40)
    with pytest.raises(ValueError, match='1048576 MiB, 256 are the most'):
        read_split(str(path))


@pytest.mark.parametrize('other', ['./0.png', 'b/../0.png', '0.png', './/0.png'])
def test_same_path_in_another_spelling(other):
    split = Split([Item('0.png', 0, 'ant')], [], [Item(other, 0, 'ant')])
    with pytest.raises(ValueError, match='appears twice .* train list and in the test list'):
        check_paths(split, 'list.json')
