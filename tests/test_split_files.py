"""Split files: their form and their classes."""

import json

import pytest

from mmdpt.datasets import check_classes, read_split

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
