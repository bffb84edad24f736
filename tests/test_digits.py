"""The handwritten digits as a few-shot benchmark, through their config."""

from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from sklearn.datasets import load_digits

from mmdpt.datasets import Benchmark, DigitsDataset, get_benchmark

CONFIG = Path(__file__).parents[1] / 'configs/_base_/datasets/digits.py'


def positions(dataset):
    return [int(dataset.get_data_info(i)['img_path'][-4:]) for i in range(len(dataset))]


def test_lists_and_labels():
    whole = {s: DigitsDataset(split=s) for s in ('train', 'val', 'test')}
    where = {s: positions(d) for s, d in whole.items()}
    assert where['test'] == list(range(898, 1797))
    assert sorted(where['train'] + where['val']) == list(range(898))
    assert tuple(map(len, where.values())) == get_benchmark('digits').sizes
    for split, dataset in whole.items():
        assert np.array_equal(dataset.get_gt_labels(), load_digits().target[where[split]])


def test_draws():
    train = DigitsDataset(split='train', shots=16, seed=1)
    val = DigitsDataset(split='val', shots=16, seed=1)
    assert np.bincount(train.get_gt_labels()).tolist() == [16] * 10
    assert np.bincount(val.get_gt_labels()).tolist() == [4] * 10
    assert train.draw_hash == val.draw_hash
    other = DigitsDataset(split='train', shots=16, seed=2)
    assert other.draw_hash != train.draw_hash
    assert len(DigitsDataset(split='test', shots=1)) == 899
    base = DigitsDataset(split='test', subset='base')
    assert base.metainfo['classes'] == get_benchmark('Digits').classes[:5]
    assert base.get_gt_labels().max() == 4
    with pytest.raises(ValueError, match='Digits: shots=100 needs 100 train'):
        DigitsDataset(split='train', shots=100)


def test_images_are_the_digits():
    dataset = DigitsDataset(split='test', pipeline=[dict(type='PackInputs')])
    image = dataset[5]['inputs'].numpy()  # (3, 8, 8)
    expected = load_digits().images[898 + 5] * 255 / 16
    assert image.dtype == np.uint8 and image.max() == 255
    assert np.abs(image - expected).max() <= 0.5


def test_a_short_list_is_not_packed():
    dataset = DigitsDataset(split='test', indices=20)
    assert len(dataset.data_list) == len(dataset) == 20
    info = dataset.get_data_info(0)
    info['img_path'] = 'changed'  # a copy
    assert dataset.get_data_info(0)['img_path'] == 'digits/0898'


def test_config_gives_batches():
    init_default_scope('mmpretrain')
    config = Config.fromfile(CONFIG)
    config.train_dataloader.dataset.shots = 4
    loader = Runner.build_dataloader(config.train_dataloader, seed=0)
    batches = list(loader)
    assert [b['inputs'].shape for b in batches] == [(32, 3, 32, 32)]
    first = loader.dataset[0]['inputs'].float()
    loader.dataset.set_epoch(1)
    second = loader.dataset[0]['inputs'].float()
    assert 0 < (first - second).abs().mean() < 60  # moved a little
    test = Runner.build_dataloader(config.test_dataloader)
    assert sum(len(b['inputs']) for b in test) == 899


def test_one_shot_is_one_small_batch():
    init_default_scope('mmpretrain')
    config = Config.fromfile(CONFIG)
    config.train_dataloader.dataset.shots = 1
    loader = Runner.build_dataloader(config.train_dataloader, seed=0)
    assert [len(b['inputs']) for b in loader] == [10]


def test_other_numbers_of_classes_are_refused():
    with pytest.raises(ValueError, match='Two has 2 classes; the digits need'):
        DigitsDataset(Benchmark('Two', ('even', 'odd'), ('{}',)))
