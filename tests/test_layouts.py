"""Each benchmark read from a small tree in its documented layout."""

import json
import logging

import pytest
from helpers.tools import tool
from helpers.trees import COUNTS, DISK, SPLIT, SYNSETS, VARIANTS, class_names, write_tree
from mmengine.logging import MMLogger

from mmdpt.datasets import (
    BENCHMARKS,
    FewShotDataset,
    draw_hash,
    get_layout,
    resolve_classes,
    sample_few_shot,
)

PIPELINE = [dict(type='LoadPILImage'), dict(type='PackInputs')]
SORTED = tuple(SYNSETS[s] for s in sorted(SYNSETS))


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    """All fifteen, side by side; nothing writes into it but the index."""
    folder = tmp_path_factory.mktemp('data')
    for name in DISK:
        write_tree(folder, name)
    return folder


def expected_classes(name):
    if name in ('ImageNet', 'ImageNetV2', 'ImageNetSketch'):
        return SORTED
    if name in VARIANTS:  # 200 classes: by the order of their own folders
        return ('great white shark', 'sunglasses', "potter's wheel")
    return tuple(class_names(BENCHMARKS[name]))


@pytest.mark.parametrize('name', DISK)
def test_classes_and_lists(root, name):
    classes = expected_classes(name)
    assert resolve_classes(name, str(root)) == classes
    test = FewShotDataset(name, data_root=str(root), split='test', pipeline=PIPELINE)
    assert test.metainfo['classes'] == classes
    assert len(test) == 2 * len(classes)
    assert sorted(set(test.get_gt_labels())) == list(range(len(classes)))
    assert test[len(test) - 1]['inputs'].shape == (3, 12, 10)
    if name in VARIANTS:
        return
    train = FewShotDataset(name, data_root=str(root), shots=2, seed=3)
    assert len(train) == 2 * len(classes)
    assert sorted(set(train.get_gt_labels())) == list(range(len(classes)))


@pytest.mark.parametrize('name', SPLIT + ['FGVCAircraft'])
def test_draws_from_the_lists(root, name):
    layout = get_layout(name, str(root))
    split = layout.read()
    assert [len(part) for part in split] == [
        n * len(class_names(BENCHMARKS[name])) for n in COUNTS.values()
    ]
    drawn = sample_few_shot(split.train, split.val, 2, 1)
    for part, items in zip(('train', 'val'), drawn):
        dataset = FewShotDataset(name, data_root=str(root), shots=2, seed=1, split=part)
        paths = [
            dataset.get_data_info(i)['img_path'].replace(f'{layout.images.rstrip("/")}/', '')
            for i in range(len(dataset))
        ]
        assert paths == [item.path for item in items]
        assert dataset.draw_hash == draw_hash(*drawn)


def test_imagenet_draws_in_sorted_order(root):
    train = FewShotDataset('ImageNet', data_root=str(root), shots=4, seed=1)
    layout = get_layout('ImageNet', str(root))
    lazy = layout.read().train
    items = list(lazy)
    assert len(lazy) == 36 and [lazy[i] for i in range(36)] == items
    assert lazy[-1] == items[-1]
    assert items == sorted(items) and items[0].path == 'train/n01/n01_0.JPEG'
    drawn, _ = sample_few_shot(items, [], 4, 1)
    assert train.draw_hash == draw_hash(drawn, [])
    val, test = (
        FewShotDataset('ImageNet', data_root=str(root), shots=4, split=part)
        for part in ('val', 'test')
    )
    assert [val.get_data_info(i) for i in range(len(val))] == [
        test.get_data_info(i) for i in range(len(test))
    ]
    assert test.get_data_info(0)['img_path'].endswith('val/n01/val_0.JPEG')


@pytest.mark.parametrize('name', VARIANTS)
def test_variants_are_for_evaluation(root, name):
    with pytest.raises(ValueError, match=f'{name} is for evaluation only'):
        FewShotDataset(name, data_root=str(root), split='train')


def test_base_and_new_of_a_variant(root):
    base, new = (
        FewShotDataset('ImageNetSketch', data_root=str(root), split='test', subset=s)
        for s in ('base', 'new')
    )
    assert base.metainfo['classes'] + new.metainfo['classes'] == SORTED
    assert len(base) == len(new) == 6
    assert set(new.get_gt_labels()) == {0, 1, 2}


def test_classnames_of_imagenet_serve_the_variants(root, tmp_path):
    for name in ('ImageNet', 'ImageNetR'):
        write_tree(tmp_path, name)
    (tmp_path / 'imagenet-rendition/classnames.txt').unlink()
    assert resolve_classes('ImageNetR', str(tmp_path)) == expected_classes('ImageNetR')
    (tmp_path / 'imagenet/classnames.txt').unlink()
    with pytest.raises(FileNotFoundError, match='classnames.txt'):
        resolve_classes('ImageNetR', str(tmp_path))


def damage(folder, path, change):
    file = folder / path
    file.write_text(change(file.read_text()))


@pytest.mark.parametrize(
    'name, path, change, words',
    [
        (
            'ImageNet',
            'classnames.txt',
            lambda t: t + 'n99\n',
            "Line 7 .* is 'n99', expected SYNSET NAME",
        ),
        (
            'ImageNet',
            'classnames.txt',
            lambda t: t + 'n01 shark\n',
            'Line 7 .* names n01 a second time',
        ),
        (
            'ImageNet',
            'classnames.txt',
            lambda t: t + 'n99 tench\n',
            r"1 class folder\(s\) of 7 are missing, the first is 'n99'",
        ),
        (
            'ImageNet',
            'classnames.txt',
            lambda t: t[: -len('n06 T-shirt\n')],
            r"1 class folder\(s\) are not in .*, the first is 'n06'",
        ),
        (
            'ImageNetA',
            'classnames.txt',
            lambda t: 'n01 shark\n',
            r"2 class folder\(s\) are not in .*, the first is 'n02'",
        ),
        ('ImageNetV2', 'classnames.txt', lambda t: '', 'is empty. Download'),
        ('FGVCAircraft', 'variants.txt', lambda t: 'ox\nyak\n', "'red_fox' is not in variants.txt"),
        (
            'FGVCAircraft',
            'images_variant_test.txt',
            lambda t: t.replace('0000005', '0000000'),
            "'0000000.jpg' appears twice .* train .* test",
        ),
        (
            'EuroSAT',
            'split_zhou_EuroSAT.json',
            lambda t: t.replace('class_000/0.', 'class_000/6.'),
            'appears twice',
        ),
        (
            'Food101',
            'split_zhou_Food101.json',
            lambda t: t.replace(', 4, ', ', 5, '),
            r'no image with label\(s\) \[4\]',
        ),
    ],
)
def test_damaged_lists(tmp_path, name, path, change, words):
    damage(write_tree(tmp_path, name), path, change)
    with pytest.raises(ValueError, match=words):
        FewShotDataset(name, data_root=str(tmp_path), split='test')


def test_validation_images_without_folders(tmp_path):
    folder = write_tree(tmp_path, 'ImageNet') / 'images/val'
    for i, file in enumerate(sorted(folder.glob('*/*'))):
        file.rename(folder / f'{i}.JPEG')
    for empty in folder.glob('n*'):
        empty.rmdir()
    with pytest.raises(ValueError, match='no class folders: sort them'):
        FewShotDataset('ImageNet', data_root=str(tmp_path))


def test_empty_class_folder(tmp_path):
    folder = write_tree(tmp_path, 'ImageNetSketch') / 'images/n03'
    for file in folder.glob('*'):
        file.unlink()
    with pytest.raises(ValueError, match="n03' has no image"):
        FewShotDataset('ImageNetSketch', data_root=str(tmp_path), split='test')


def test_other_counts_than_published_warn(root, caplog):
    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    try:
        with caplog.at_level(logging.WARNING):
            FewShotDataset('DTD', data_root=str(root))
    finally:
        logger.removeHandler(caplog.handler)
    assert '141/94/94 (train/val/test) images, the published ones 2820/1128/1692' in caplog.text


def test_tool_prints_imagenets_draw(root, tmp_path, capsys):
    tool(
        'few_shot',
        'ImageNet',
        '--data-root',
        root,
        '--shots',
        2,
        '--seed',
        5,
        '--json',
        tmp_path / 'draw.json',
    )
    train = FewShotDataset('ImageNet', data_root=str(root), shots=2, seed=5)
    found = json.loads((tmp_path / 'draw.json').read_text())
    assert found['hash'] == train.draw_hash and found['val'] == []
    assert [item[1] for item in found['train']] == train.get_gt_labels().tolist()
    assert f'train\t{found["train"][0][0]}\t0\tgreat white shark' in capsys.readouterr().out
