"""What each protocol of ``test_protocol`` measures, and which lists it tests for that."""

import argparse
import os.path as osp
from collections.abc import Iterable
from copy import deepcopy
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.runner import Runner
from torch.utils.data import Dataset

from ..datasets import resolve_classes
from ..datasets.data_protocol import CORRUPTIONS, read_protocol
from ..engine.cli import build_runner
from ..engine.collect_predictions import Collected, collect_predictions, image_keys
from ..engine.hooks import image_paths
from ..engine.measure import logits_of
from ..engine.other_images import other_images
from ..engine.prediction_files import ListFiles
from ..evaluation import ood
from ..evaluation.open_world import open_world
from ..evaluation.predictions import Predictions
from ..models.clip.load import keep_clip
from ..utils.unwrap import unwrapped

SEVERITIES = (1, 2, 3, 4, 5)
ALL = 'all'  # the test list of the training's classes, or of all of them


def check_choices(args: argparse.Namespace) -> None:
    """Refuse options that do not go with a protocol, and corruptions that there are not, before
    anything is tested.

    Raises:
        ValueError: Names the protocol or the corruptions.
    """
    if args.datasets and args.protocol in ('open-world', 'corruption'):
        raise ValueError(
            f'{args.protocol} tests on the dataset of the training; leave --datasets out'
        )
    if (args.corruptions or args.severities) and args.protocol != 'corruption':
        raise ValueError('--corruptions and --severities go with --protocol corruption')
    for name in args.corruptions or CORRUPTIONS[:1]:
        for severity in args.severities or SEVERITIES[:1]:
            read_protocol(dict(corruption=name, severity=severity))


def lists_of(args: argparse.Namespace, parts: Iterable[str]) -> list[str]:
    """The lists that a protocol tests; ``parts``: where they are its targets."""
    if args.protocol == 'corruption':
        names, levels = args.corruptions or CORRUPTIONS, args.severities or SEVERITIES
        return [f'{name}_{level}' for name in names for level in levels]
    return [ALL, *args.datasets] if args.protocol in MEASURES else list(parts)


def tested(cfg: Config) -> tuple[float, Collected, Runner]:
    """Test a checkpoint: its accuracy in per cent, and what it said of each image."""
    runner = build_runner(cfg)
    collector = collect_predictions(runner, runner.test_loop)
    accuracy = float(runner.test()['accuracy/top1'])
    return accuracy, collector.take(), runner


def need_logits(collected: Collected) -> Predictions:
    """Those of a test, on the first process.

    Raises:
        ValueError: If it has left none.
    """
    if collected.found is None or collected.scores != 'logits':
        raise ValueError(f'this protocol needs logits: {collected.reason}')
    return collected.found


def measure_open_world(cfg: Config, args: argparse.Namespace, files: ListFiles) -> dict[str, float]:
    """Trained on the base half, tested on all classes at once."""
    cfg = deepcopy(cfg)
    cfg.dataset.subset, cfg.model.transfer = 'all', True
    root = cfg.dataset.get('data_root', 'data')
    base = len(resolve_classes(cfg.dataset.name, root, 'base'))
    _, collected, _ = tested(cfg)
    files.write(ALL, collected)
    if not is_main_process():
        return {}
    found = need_logits(collected)
    return open_world(found.logits.numpy(), found.labels.numpy(), base)


def measure_ood(cfg: Config, args: argparse.Namespace, files: ListFiles) -> dict[str, float]:
    """Images of the training's classes against those of other datasets."""
    if not args.datasets:
        raise ValueError('ood needs --datasets: benchmarks or folders with other images')
    others: dict[str, Any] = {name: other_images(cfg, name) for name in args.datasets}
    _, collected, runner = tested(cfg)
    files.write(ALL, collected)
    found = need_logits(collected) if is_main_process() else None
    model, figures = unwrapped(runner.model), {}
    if found is not None:
        figures['accuracy'] = 100 * found.correct().double().mean().item()
    for name, images in others.items():
        outside = logits_of(model, images, cfg.test_dataloader.batch_size)
        if found is None:
            continue
        write_unknown(files, name, images, outside, found.classes)
        for score in ood.SCORES:
            scale = float(model.scale) if score == 'mcm' else None
            inside = ood.scores(found.logits, score, scale=scale)
            told = ood.summary(inside, ood.scores(outside, score, scale=scale))
            for key, title in (('auroc', 'AUROC'), ('fpr95', 'FPR95'), ('aupr_in', 'AUPR')):
                figures[f'{name} {title} ({score})'] = 100 * told[key]
    return figures


def write_unknown(
    files: ListFiles, name: str, images: Dataset, logits: torch.Tensor, classes: list[str]
) -> None:
    """Write the logits (N, C) of images that are of none of the classes: their label is -1."""
    keys = image_keys(images, image_paths(images))
    found = Predictions(logits, torch.full((len(logits),), -1), keys, classes)
    about = dict(benchmark=osp.basename(osp.normpath(name)), subset='all')
    if osp.isdir(name):
        about['split'] = 'all'
    files.write(name, Collected(found, 'logits', '', images), **about)


def measure_corruption(cfg: Config, args: argparse.Namespace, files: ListFiles) -> dict[str, float]:
    """Accuracy under each corruption, the mean over the severities."""
    figures = {}
    for name in args.corruptions or CORRUPTIONS:
        values = []
        for severity in args.severities or SEVERITIES:
            one = deepcopy(cfg)
            told = dict(one.dataset.get('protocol') or {}, corruption=name, severity=severity)
            one.dataset.protocol = told
            one.experiment_name = f'{name}_{severity}'
            accuracy, collected, _ = tested(one)
            files.write(f'{name}_{severity}', collected)
            values.append(accuracy)
        figures[name] = sum(values) / len(values)
    return figures


MEASURES = {
    'open-world': measure_open_world,
    'ood': measure_ood,
    'corruption': keep_clip()(measure_corruption),  # 75 tests of one model
}
