"""Calibrate a trained checkpoint on images that it has not learnt from."""

import os.path as osp
import tempfile
from collections.abc import Iterable, Sequence
from copy import deepcopy
from typing import Any, NamedTuple

import numpy as np
import torch
from mmengine.config import Config
from mmpretrain.registry import DATASETS

from ..datasets import share_dataset
from ..engine import CheckpointError, read_checkpoint
from ..engine.checkpoint import plain
from ..engine.checkpoint_hook import write_checkpoint
from ..engine.cli import build_runner
from ..engine.entry import read_entry, write_calibration
from ..engine.measure import logits_of
from ..evaluation.calibration import Calibration
from ..utils.unwrap import unwrapped
from .plan import build, plan_of_checkpoint

LISTS = ('val', 'train', 'test')
OWN_DATASETS = ('FewShotDataset', 'DigitsDataset')


class HeldOut(NamedTuple):
    """What a model says of labelled images that it has not learnt from.

    Attributes:
        logits (Tensor): (N, C).
        labels (Tensor): (N,).
        source (str): Which images, in words.
    """

    logits: torch.Tensor
    labels: torch.Tensor
    source: str


def held_out(
    checkpoint: str,
    cfg: Config,
    on: str | None = None,
    folds: int = 5,
    pretrained: str | None = None,
    batch_size: int = 32,
    may_train: bool = True,
) -> HeldOut:
    """Classify a checkpoint's held-out images.

    Args:
        checkpoint (str): The file.
        cfg (Config): Of its training; only the training images' dataset is read, unless
            the training is repeated.
        on (str, optional): 'val', the few-shot validation images; 'train', the training's own,
            each classified by a model that was trained without it; 'test'. Defaults to
            'val' if there are any, else 'train'.
        folds (int): Trainings of 'train'.
        pretrained (str, optional): Where CLIP's weights are now.
        batch_size (int): Images at once.
        may_train (bool): Whether the config may be run, as 'train' does.

    Raises:
        ValueError: If there are no such images, or the config draws other ones than the
            training did.
    """
    plan = plan_of_checkpoint(checkpoint)
    cfg = share_dataset(cfg)
    data = _dataset_of(cfg)
    there = _has_val(data)
    if on == 'val' and not there:
        raise ValueError('there are no validation images (or they are the test images): --on train')
    on = on or ('val' if there else 'train')
    if on == 'train' and not may_train:
        why = '' if there else 'there are no validation images (or they are the test images), and '
        raise ValueError(f'{why}--on train trains again, so it needs the config: --config FILE')
    if on == 'train':
        return _cross_validated(cfg, data, plan.pipeline, folds, batch_size)
    images = DATASETS.build(dict(data, split=on, pipeline=plan.pipeline, allow_fewer=True))
    _check_draw(images, checkpoint)
    if tuple(images.metainfo['classes']) != tuple(plan.classes or ()):
        raise ValueError(
            f'{checkpoint} was trained for other classes than the config names: give the config '
            'that its training left beside it'
        )
    logits = logits_of(build(plan, pretrained=pretrained), images, batch_size)
    return HeldOut(logits, _labels(images), f'{len(images)} {_spelt(images)}')


def _dataset_of(cfg: Config) -> dict[str, Any]:
    """The config of the training images' dataset."""
    data = (cfg.get('train_dataloader') or {}).get('dataset') or {}
    kind = str(data.get('type', 'none')).removeprefix('mmpretrain.')
    if kind not in OWN_DATASETS:
        raise ValueError(
            f'calibrating needs the few-shot dataset of the training ({", ".join(OWN_DATASETS)}), '
            f"but the config's train_dataloader.dataset is of type {kind}"
        )
    return {k: v for k, v in data.items() if k != 'unlabelled'}


def _has_val(data: dict) -> bool:
    lists = DATASETS.build(dict(data, split='train', pipeline=[], lazy_init=True)).load_split()
    return bool(lists.val) and lists.val is not lists.test


def _check_draw(images: Any, checkpoint: str) -> None:
    """Raise unless the dataset leaves out what the checkpoint has learnt from."""
    before = read_entry(read_checkpoint(checkpoint)['meta']).get('draw_hash')
    if before and images.split == 'val' and images.draw_hash != before:
        raise CheckpointError(
            f'the config draws other images (draw {images.draw_hash[:12]}) than those that '
            f'{checkpoint} was trained on ({before[:12]}), so held-out images may be among those: '
            'give the config that its training left beside it'
        )


def _spelt(images: Any) -> str:
    """Which images a dataset holds, in words."""
    about = f'images of {images.benchmark.name}'
    if images.split == 'test':
        return f'test {about}, as was asked for: they no longer test its probabilities'
    few = '' if images.shots is None else f' ({images.shots} shots, seed {images.seed})'
    return f'{"validation" if images.split == "val" else "training"} {about}{few}'


def _labels(images: Any) -> torch.Tensor:
    return torch.from_numpy(images.get_gt_labels())


def _cross_validated(
    cfg: Config, data: dict, pipeline: Sequence[dict], folds: int, batch_size: int
) -> HeldOut:
    """Logits of each training image, by a model that was trained without it."""
    train = cfg.train_cfg or {}
    if train.get('search') is not None or cfg.train_dataloader.dataset.get('unlabelled'):
        raise ValueError(
            'this method cannot be cross-validated: it chooses settings on validation images '
            '(train_cfg.search), or learns without labels. Calibrate with --on val'
        )
    images = DATASETS.build(dict(data, pipeline=pipeline))
    parts = []
    for rest, held in _folds(images.get_gt_labels(), folds, images.metainfo['classes']):
        with tempfile.TemporaryDirectory(prefix='mmdpt_fold_') as folder:
            model = _trained_on(cfg, rest, folder)
        part = DATASETS.build(dict(data, pipeline=pipeline, indices=held))
        parts.append((logits_of(model, part, batch_size), _labels(part)))
    logits, labels = (torch.cat(found) for found in zip(*parts))
    source = f'{len(images)} {_spelt(images)}, {len(parts)}-fold cross-validation'
    return HeldOut(logits, labels, source)


def _folds(
    labels: np.ndarray, folds: int, classes: Sequence[str]
) -> Iterable[tuple[list[int], list[int]]]:
    """Images to train on and images held out, each image held out once."""
    from sklearn.model_selection import StratifiedKFold

    counts = np.bincount(labels, minlength=len(classes))
    if counts.min() < 2:
        raise ValueError(
            f'the class {classes[int(counts.argmin())]!r} has {counts.min()} training image(s): '
            'cross-validation needs two of each class'
        )
    divide = StratifiedKFold(min(folds, int(counts.min())), shuffle=True, random_state=0)
    for rest, held in divide.split(labels, labels):
        yield rest.tolist(), held.tolist()


def _trained_on(cfg: Config, indices: list[int], folder: str) -> torch.nn.Module:
    """The model that the config's training makes of a part of its images."""
    cfg = deepcopy(cfg)
    cfg.work_dir, cfg.log_level, cfg.load_from, cfg.resume = folder, 'ERROR', None, False
    cfg.train_dataloader.dataset.indices = indices
    (cfg.get('default_hooks') or {}).get('report', {}).update(enable=False, best_on_val=False)
    cfg.train_cfg.pop('cache_dir', None)  # a fold's features serve no other training
    cfg.test_cfg = {}
    runner = build_runner(cfg)
    runner.train()
    return unwrapped(runner.model)


def write_calibrated(checkpoint: str, out: str, found: Calibration) -> None:
    """Write a copy of a checkpoint that carries a calibration.

    Args:
        checkpoint (str): A checkpoint that training wrote, or a folder of the command publish.
        out (str): The new file.
        found (Calibration): See :func:`mmdpt.evaluation.calibration.calibration`.

    Raises:
        FileExistsError: If there is a file already.
    """
    if osp.lexists(out):
        raise FileExistsError(f'{out} is there already: choose another name')
    content = read_checkpoint(checkpoint)
    write_calibration(content['meta'], found)
    write_checkpoint(plain(content), out)
