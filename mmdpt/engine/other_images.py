"""What a model says of images that are of none of its classes."""

import os.path as osp

import torch
from mmengine.config import Config
from mmengine.dataset import default_collate
from mmengine.model import BaseModel
from mmpretrain.registry import DATASETS
from torch.utils.data import DataLoader, Dataset

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


@torch.no_grad()
def logits_of(model: BaseModel, dataset: Dataset, batch_size: int) -> torch.Tensor:
    """The logits (N, C) of a dataset's images, labels or not.

    Args:
        model (BaseModel): In test mode afterwards.
        dataset (Dataset): Packs its images.
        batch_size (int): Images per forward pass.

    Raises:
        ValueError: If the model gives no logits.
    """
    model.eval()
    rows = []
    for batch in DataLoader(dataset, batch_size=batch_size, collate_fn=default_collate):
        for sample in model.test_step(batch):
            if 'pred_logits' not in sample:
                raise ValueError(f'{type(model).__name__} gives no logits, which ood needs')
            rows.append(sample.pred_logits.float().cpu())
    return torch.stack(rows)
