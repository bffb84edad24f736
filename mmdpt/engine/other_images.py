"""Images that are of none of a model's classes."""

import os.path as osp

from mmengine.config import Config
from mmpretrain.registry import DATASETS
from torch.utils.data import Dataset

from mmdpt.datasets import get_benchmark


def other_images(cfg: Config, name: str) -> Dataset:
    """Images of another benchmark's test list, or all in a folder, as a model is tested.

    Args:
        cfg (Config): Of the training; its test transforms are used.
        name (str): A benchmark, or a folder with images anywhere below.

    Raises:
        ValueError: If there is no such benchmark, or no such folder.
    """
    pipeline = cfg.test_dataloader.dataset.pipeline
    if osp.isdir(name):
        train = dict(cfg.train_dataloader.dataset, shots=None, protocol=None, subset='all')
        return DATASETS.build(dict(train, split='train', unlabelled=name, pipeline=pipeline))
    about = dict(type='FewShotDataset', benchmark=get_benchmark(name).name)
    about['data_root'] = cfg.dataset.get('data_root', 'data')
    if about['benchmark'] == 'Digits':
        about = dict(type='DigitsDataset')
    return DATASETS.build(dict(about, split='test', pipeline=pipeline))
