"""The protocols of ``test_protocol`` whose figures are not one accuracy per list."""

import argparse
from copy import deepcopy

from mmengine.config import Config
from mmengine.runner import Runner

from ..datasets import resolve_classes
from ..datasets.data_protocol import CORRUPTIONS, read_protocol
from ..engine.cli import build_runner
from ..engine.collect_predictions import collect_predictions
from ..engine.measure import logits_of
from ..engine.other_images import other_images
from ..evaluation import ood
from ..evaluation.open_world import open_world
from ..evaluation.predictions import Predictions
from ..models.clip.load import keep_clip
from ..utils.unwrap import unwrapped

SEVERITIES = (1, 2, 3, 4, 5)


def check_corruptions(args: argparse.Namespace) -> None:
    """Refuse --corruptions and --severities that there are not, before anything is tested.

    Raises:
        ValueError: Names the protocol or the corruptions.
    """
    if (args.corruptions or args.severities) and args.protocol != 'corruption':
        raise ValueError('--corruptions and --severities go with --protocol corruption')
    for name in args.corruptions or CORRUPTIONS[:1]:
        for severity in args.severities or SEVERITIES[:1]:
            read_protocol(dict(corruption=name, severity=severity))


def tested(cfg: Config) -> tuple[Predictions, Runner]:
    """Test a checkpoint; what it said of each image.

    Raises:
        ValueError: If it gives no logits.
    """
    runner = build_runner(cfg)
    collector = collect_predictions(runner, runner.test_loop)
    runner.test()
    collected = collector.take()
    if collected.found is None or collected.scores != 'logits':
        raise ValueError(f'this protocol needs logits: {collected.reason}')
    return collected.found, runner


def measure_open_world(cfg: Config, args: argparse.Namespace) -> dict[str, float]:
    """Trained on the base half, tested on all classes at once."""
    cfg = deepcopy(cfg)
    cfg.dataset.subset, cfg.model.transfer = 'all', True
    root = cfg.dataset.get('data_root', 'data')
    base = len(resolve_classes(cfg.dataset.name, root, 'base'))
    found, _ = tested(cfg)
    return open_world(found.logits.numpy(), found.labels.numpy(), base)


def measure_ood(cfg: Config, args: argparse.Namespace) -> dict[str, float]:
    """Images of the training's classes against those of other datasets."""
    if not args.datasets:
        raise ValueError('ood needs --datasets: benchmarks or folders with other images')
    others = {name: other_images(cfg, name) for name in args.datasets}  # before any test
    found, runner = tested(cfg)
    model = unwrapped(runner.model)
    figures = dict(accuracy=100 * found.correct().double().mean().item())
    for name, images in others.items():
        outside = logits_of(model, images, cfg.test_dataloader.batch_size)
        for score in ood.SCORES:
            scale = float(model.scale) if score == 'mcm' else None
            inside = ood.scores(found.logits, score, scale=scale)
            told = ood.summary(inside, ood.scores(outside, score, scale=scale))
            for key, title in (('auroc', 'AUROC'), ('fpr95', 'FPR95'), ('aupr_in', 'AUPR')):
                figures[f'{name} {title} ({score})'] = 100 * told[key]
    return figures


def measure_corruption(cfg: Config, args: argparse.Namespace) -> dict[str, float]:
    """Accuracy under each corruption, the mean over the severities."""
    figures = {}
    for name in args.corruptions or CORRUPTIONS:
        values = []
        for severity in args.severities or SEVERITIES:
            one = deepcopy(cfg)
            told = dict(one.dataset.get('protocol') or {}, corruption=name, severity=severity)
            one.dataset.protocol = told
            one.experiment_name = f'{name}_{severity}'
            values.append(float(build_runner(one).test()['accuracy/top1']))
        figures[name] = sum(values) / len(values)
    return figures


MEASURES = {
    'open-world': measure_open_world,
    'ood': measure_ood,
    'corruption': keep_clip()(measure_corruption),  # 75 tests of one model
}
