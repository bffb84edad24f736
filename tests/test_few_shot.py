"""The dataset on disk: lists, errors, images in memory, randomness."""
import json
import os
import random

import numpy as np
import pytest
import torch
from mmpretrain.registry import DATASETS
from PIL import Image

from mmdpt.datasets import (Benchmark, FewShotBatchSampler, FewShotDataset,
                            draw_hash, read_split, sample_few_shot)

CLASSES = ('ant', 'bee', 'cat')
TINY = Benchmark('Tiny', CLASSES, ('a {}.', ), 'tiny', 'images', 'split.json',
                 source='Download it from nowhere.')
RANDOM_CROP = [
    dict(type='LoadPILImage'),
    dict(type='RandomResizedCrop', scale=8, backend='pillow'),
    dict(type='PackInputs')
]


@pytest.fixture
def data_root(tmp_path):
    """A benchmark of three classes, ten train, five val, three test images."""
    folder = tmp_path / 'tiny'
    split = dict(train=[], val=[], test=[])
    noise = np.random.RandomState(0)
    for label, name in enumerate(CLASSES):
        (folder / 'images' / name).mkdir(parents=True)
        for i in range(18):
            path = f'{name}/{i}.png'
            pixels = noise.randint(0, 256, (12, 10, 3), np.uint8)
            Image.fromarray(pixels).save(folder / 'images' / path)
            key = 'train' if i < 10 else 'val' if i < 15 else 'test'
            split[key].append([path, label, name])
    for items in split.values():
        noise.shuffle(items)
    (folder / 'split.json').write_text(json.dumps(split))
    return tmp_path


def paths_of(dataset):
    root = dataset.folder + '/images/'
    return [
        dataset.get_data_info(i)['img_path'].replace(root, '')
        for i in range(len(dataset))
    ]


def test_dataset_holds_the_draw(data_root):
    split = read_split(str(data_root / 'tiny/split.json'))
    drawn = sample_few_shot(split.train, split.val, 5, 3)
    kwargs = dict(data_root=str(data_root), shots=5, seed=3)
    train, val, test = (
        FewShotDataset(TINY, split=s, **kwargs)
        for s in ('train', 'val', 'test'))
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
    assert set(paths_of(base)) == {
        p for p in paths_of(whole) if not p.startswith('cat')
    }
    with pytest.raises(ValueError, match="1 class.* in subset 'new'"):
        FewShotDataset(TINY, subset='new', **kwargs)


def test_registered_and_built_from_a_config(data_root):
    with pytest.raises(FileNotFoundError, match='2750'):
        DATASETS.build(
            dict(type='FewShotDataset', benchmark='eurosat',
                 data_root=str(data_root)))


def test_missing_folders_and_files(data_root):
    make = lambda: FewShotDataset(TINY, data_root=str(data_root))  # noqa: E731
    os.remove(data_root / 'tiny/images/bee/3.png')
    with pytest.raises(FileNotFoundError,
                       match=r'1 of 30 images are missing.*bee/3\.png'):
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
    for words in ('tiny/images/', 'tiny/split.json', 'Download it from',
                  'dataset.data_root='):
        assert words in str(error.value)


def test_fewer_images_than_shots(data_root):
    kwargs = dict(data_root=str(data_root), shots=11)
    with pytest.raises(ValueError, match='11 train images a class, but '
                       "'ant' has 10, .*Lower shots to 10.*allow_fewer=True"):
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
    content = {
        'empty': b'',
        'text': b'<html></html>',
        'truncated': path.read_bytes()[:200]
    }
    path.write_bytes(content[damage])
    kwargs = dict(data_root=str(data_root), split=split, pipeline=RANDOM_CROP)
    if split == 'train':  # decoded before training starts
        with pytest.raises(ValueError, match=f'{name}.* does not decode'):
            FewShotDataset(TINY, shots=10, **kwargs)
    dataset = FewShotDataset(TINY, **kwargs)
    with pytest.raises(ValueError, match=f'{name}.* does not decode'):
        dataset[paths_of(dataset).index(name)]
    assert len([dataset[i] for i, p in enumerate(paths_of(dataset))
                if p != name]) == len(dataset) - 1


def test_pipeline_that_gives_nothing_is_an_error(data_root):
    dataset = FewShotDataset(
        TINY, data_root=str(data_root), pipeline=[lambda results: None])
    with pytest.raises(ValueError, match='The pipeline gave nothing for'):
        dataset[0]


@pytest.mark.parametrize('kwargs, words', [
    (dict(shots=0), 'shots must be at least 1, got 0'),
    (dict(shots='16'), r"whole number, got '16' \(str\)"),
    (dict(shots=1, seed=1.5), 'seed must be a whole number'),
    (dict(split='valid'), "split must be one of .* 'valid'"),
    (dict(subset='old'), "subset must be one of .* 'old'"),
])
def test_wrong_arguments(kwargs, words):
    with pytest.raises((TypeError, ValueError), match=words):
        FewShotDataset(TINY, **kwargs)


def test_kept_images_are_never_changed(data_root):

    def darken(results):
        results['img'] //= 2
        return results

    dataset = FewShotDataset(
        TINY, data_root=str(data_root), shots=2,
        pipeline=[dict(type='LoadPILImage'), darken, dict(type='PackInputs')])
    assert len(dataset.images) == 6
    assert torch.equal(dataset[0]['inputs'], dataset[0]['inputs'])
    uncached = FewShotDataset(
        TINY, data_root=str(data_root), shots=2, cache_images=False,
        pipeline=[dict(type='LoadPILImage'), dict(type='PackInputs')])
    assert not uncached.images
    assert torch.equal(dataset[0]['inputs'], uncached[0]['inputs'] // 2)


def test_too_many_images_are_not_kept(data_root, monkeypatch):
    monkeypatch.setattr('mmdpt.datasets.few_shot.CACHE_BYTES', 1000)
    kwargs = dict(data_root=str(data_root), shots=3)
    assert not FewShotDataset(TINY, **kwargs).images
    assert len(FewShotDataset(TINY, cache_images=True, **kwargs).images) == 9


def epochs_of(dataset, num_workers, epochs):
    loader = torch.utils.data.DataLoader(
        dataset, 2, num_workers=num_workers,
        persistent_workers=num_workers > 0,
        collate_fn=lambda batch: torch.stack([b['inputs'] for b in batch]))
    for epoch in epochs:
        dataset.set_epoch(epoch)
        yield torch.cat(list(loader))


def test_augmentation_depends_on_seed_epoch_and_index_only(data_root):
    make = lambda seed=1: FewShotDataset(  # noqa: E731
        TINY, data_root=str(data_root), shots=2, seed=seed,
        pipeline=RANDOM_CROP)
    one, two = epochs_of(make(), 0, (0, 1))
    assert not torch.equal(one, two)
    for workers in (1, 2):
        again = list(epochs_of(make(), workers, (0, 1)))
        assert torch.equal(again[0], one) and torch.equal(again[1], two)
    resumed, = epochs_of(make(), 2, (1, ))
    assert torch.equal(resumed, two)
    assert not torch.equal(next(epochs_of(make(2), 0, (0, ))), one)


def test_global_generators_are_left_alone(data_root):
    dataset = FewShotDataset(
        TINY, data_root=str(data_root), shots=2, pipeline=RANDOM_CROP)
    before = (random.getstate(), np.random.get_state()[1].tolist(),
              torch.get_rng_state().tolist())
    dataset[-1]
    after = (random.getstate(), np.random.get_state()[1].tolist(),
             torch.get_rng_state().tolist())
    assert before == after


@pytest.mark.parametrize('length, sizes', [(10, [4, 4]), (8, [4, 4]),
                                           (3, [3]), (4, [4])])
def test_incomplete_batches(length, sizes):
    sampler = FewShotBatchSampler(range(length), 4)
    assert [len(batch) for batch in sampler] == sizes
    assert len(sampler) == len(sizes)
