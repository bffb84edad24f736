"""The dataset on disk: lists, errors, images in memory."""

import json
import os

import pytest
import torch
from helpers.tiny_benchmark import CLASSES, RANDOM_CROP, TINY, paths_of, write_tiny_benchmark
from mmpretrain.registry import DATASETS

from mmdpt.datasets import Benchmark, FewShotDataset, draw_hash, read_split, sample_few_shot


@pytest.fixture
def data_root(tmp_path):
    return write_tiny_benchmark(tmp_path)


def test_dataset_holds_the_draw(data_root):
    split = read_split(str(data_root / 'tiny/split.json'))
    drawn = sample_few_shot(split.train, split.val, 5, 3)
    kwargs = dict(data_root=str(data_root), shots=5, seed=3)
    train, val, test = (FewShotDataset(TINY, split=s, **kwargs) for s in ('train', 'val', 'test'))
    assert paths_of(train) == [i.path for i in drawn[0]]
    assert paths_of(val) == [i.path for i in drawn[1]] and len(val) == 12
    assert paths_of(test) == [i.path for i in split.test]
    assert train.get_gt_labels().tolist() == [i.label for i in drawn[0]]
    assert train.draw_hash == val.draw_hash == draw_hash(*drawn)
    assert train.metainfo['draw_hash'] == train.draw_hash
    assert train.metainfo['classes'] == CLASSES


def test_dataset_without_shots_holds_the_whole_list(data_root):
    dataset = FewShotDataset(TINY, data_root=str(data_root))
    assert len(dataset) == 30 and not dataset.images


def test_base_and_new_classes(data_root):
    kwargs = dict(data_root=str(data_root), shots=2)
    base = FewShotDataset(TINY, subset='base', **kwargs)
    whole = FewShotDataset(TINY, **kwargs)
    assert base.metainfo['classes'] == ('ant', 'bee')
    assert set(paths_of(base)) == {p for p in paths_of(whole) if not p.startswith('cat')}
    with pytest.raises(ValueError, match="1 class.* in subset 'new'"):
        FewShotDataset(TINY, subset='new', **kwargs)


def test_registered_and_built_from_a_config(data_root):
    with pytest.raises(FileNotFoundError, match='2750'):
        DATASETS.build(dict(type='FewShotDataset', benchmark='eurosat', data_root=str(data_root)))


def test_missing_folders_and_files(data_root):
    make = lambda: FewShotDataset(TINY, data_root=str(data_root))  # noqa: E731
    os.remove(data_root / 'tiny/images/bee/3.png')
    with pytest.raises(FileNotFoundError, match=r'1 of 30 images are missing.*bee/3\.png'):
        make()
    (data_root / 'tiny/split.json').rename(data_root / 'tiny/other.json')
    with pytest.raises(FileNotFoundError, match='split file .*split.json'):
        make()
    (data_root / 'tiny/images').rename(data_root / 'tiny/pictures')
    with pytest.raises(FileNotFoundError, match='image folder .*images'):
        make()
    (data_root / 'tiny').rename(data_root / 'huge')
    with pytest.raises(FileNotFoundError, match='Tiny: the folder') as error:
        make()
    for words in ('tiny/images/', 'tiny/split.json', 'Download it from', 'set dataset.data_root'):
        assert words in str(error.value)


def test_fewer_images_than_shots(data_root):
    kwargs = dict(data_root=str(data_root), shots=11)
    with pytest.raises(
        ValueError,
        match="11 train images per class, but 'ant' has 10.*Ask for fewer shots.*allow_fewer=True",
    ):
        FewShotDataset(TINY, **kwargs)
    assert len(FewShotDataset(TINY, allow_fewer=True, **kwargs)) == 30
    assert len(FewShotDataset(TINY, split='val', **kwargs)) == 12
    assert len(FewShotDataset(TINY, split='test', **kwargs)) == 9


def test_empty_list(data_root):
    path = data_root / 'tiny/split.json'
    split = json.loads(path.read_text())
    path.write_text(json.dumps(dict(split, val=[])))
    assert len(FewShotDataset(TINY, data_root=str(data_root), shots=2)) == 6
    with pytest.raises(ValueError, match='The val list of Tiny is empty'):
        FewShotDataset(TINY, split='val', data_root=str(data_root))


@pytest.mark.parametrize('damage', ['empty', 'text', 'truncated'])
@pytest.mark.parametrize('split', ['train', 'test'])
def test_unreadable_image_is_named_not_replaced(data_root, damage, split):
    name = 'bee/4.png' if split == 'train' else 'bee/16.png'
    path = data_root / 'tiny/images' / name
    content = {'empty': b'', 'text': b'<html></html>', 'truncated': path.read_bytes()[:200]}
    path.write_bytes(content[damage])
    kwargs = dict(data_root=str(data_root), split=split, pipeline=RANDOM_CROP)
    if split == 'train':  # decoded before training starts
        with pytest.raises(ValueError, match=f'{name}.* does not decode'):
            FewShotDataset(TINY, shots=10, **kwargs)
    dataset = FewShotDataset(TINY, **kwargs)
    with pytest.raises(ValueError, match=f'{name}.* does not decode'):
        dataset[paths_of(dataset).index(name)]
    assert (
        len([dataset[i] for i, p in enumerate(paths_of(dataset)) if p != name]) == len(dataset) - 1
    )


def test_pipeline_that_gives_nothing_is_an_error(data_root):
    dataset = FewShotDataset(TINY, data_root=str(data_root), pipeline=[lambda results: None])
    with pytest.raises(ValueError, match='The pipeline gave nothing for'):
        dataset[0]


@pytest.mark.parametrize(
    'kwargs, words',
    [
        (dict(shots=0), 'shots must be at least 1, got 0'),
        (dict(shots='16'), r"whole number, got '16' \(str\)"),
        (dict(shots=1, seed=1.5), 'seed must be a whole number'),
        (dict(data_root=5), 'data_root must be a folder, got 5'),
        (dict(split='valid'), "split must be one of .* 'valid'"),
        (dict(benchmark=Benchmark('One', ('a',), ())), r'One has 1 class\(es\)'),
        (dict(benchmark='EuroSat2'), "'EuroSat2'. Nearest: EuroSAT"),
        (dict(subset='old'), "subset must be one of .* 'old'"),
    ],
)
def test_wrong_arguments(kwargs, words):
    with pytest.raises((TypeError, ValueError), match=words):
        FewShotDataset(**dict(dict(benchmark=TINY), **kwargs))


def test_kept_images_are_never_changed(data_root):

    def darken(results):
        results['img'] //= 2
        return results

    dataset = FewShotDataset(
        TINY,
        data_root=str(data_root),
        shots=2,
        pipeline=[dict(type='LoadPILImage'), darken, dict(type='PackInputs')],
    )
    assert len(dataset.images) == 6
    assert torch.equal(dataset[0]['inputs'], dataset[0]['inputs'])
    uncached = FewShotDataset(
        TINY,
        data_root=str(data_root),
        shots=2,
        cache_images=False,
        pipeline=[dict(type='LoadPILImage'), dict(type='PackInputs')],
    )
    assert not uncached.images
    assert torch.equal(dataset[0]['inputs'], uncached[0]['inputs'] // 2)


@pytest.mark.parametrize('most, kept', [(1000, 0), (360 * 9 - 1, 0), (360 * 9, 9)])
def test_too_many_images_are_not_kept(data_root, most, kept):
    class Limited(FewShotDataset):
        cache_bytes = most

    kwargs = dict(data_root=str(data_root), shots=3)
    assert len(Limited(TINY, **kwargs).images) == kept
    assert len(Limited(TINY, cache_images=True, **kwargs).images) == 9
