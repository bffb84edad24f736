"""What a model says of images, and what to compare it with: zero-shot, linear probe, pixels."""

import random
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from mmengine.dataset import default_collate
from mmpretrain.evaluation import Accuracy
from mmpretrain.registry import DATASETS
from torch import nn
from torch.utils.data import DataLoader, Dataset

from .feature_loop import FrozenFeatureTestLoop, evaluate_features

BASELINES = ('linear_probe', 'raw_pixels')


@contextmanager
def undisturbed(model):
    """Restore all random generators and the model's training flag."""
    state, numpy_state, training = random.getstate(), np.random.get_state(), model.training
    with torch.random.fork_rng():
        try:
            yield
        finally:
            random.setstate(state)
            np.random.set_state(numpy_state)
            model.train(training)


@torch.no_grad()
def evaluate(model, loop):
    """Evaluate a model as a test loop does, without any hook.

    Args:
        model (BaseModel): Its ``test_step`` is called.
        loop (TestLoop): Gives the data loader and the evaluator.

    Returns:
        dict[str, float]: The metrics, the same on every rank.
    """
    model.eval()
    if isinstance(loop, FrozenFeatureTestLoop):
        return {k: float(v) for k, v in loop.evaluate().items()}
    for batch in loop.dataloader:
        loop.evaluator.process(data_samples=model.test_step(batch), data_batch=batch)
    return {k: float(v) for k, v in loop.evaluator.evaluate(len(loop.dataloader.dataset)).items()}


def measure_zero_shot(model, loop):
    """dict[str, float]: Metrics of the model without what it learns."""
    from ..evaluation.frozen_features import keeps_rows

    with undisturbed(model), model.zero_shot():
        if keeps_rows() and hasattr(model, 'clip_features'):
            return {k: float(v) for k, v in evaluate_features(model.eval(), loop).items()}
        return evaluate(model, loop)


def check_baselines(names, model, dataset=None):
    """Raise ValueError if a baseline needs features that a model does not have, or labels of a
    training set that has none."""
    if names and getattr(dataset, 'unlabelled', False):
        raise ValueError(
            f'the baselines {", ".join(names)} learn from labels, and the training images have '
            'none: take them out of default_hooks.report.baselines'
        )
    if 'linear_probe' in names and not hasattr(model, 'clip_features'):
        raise ValueError(
            f"the baseline 'linear_probe' needs a model with clip_features, which "
            f'{type(model).__name__} does not have: take it out of default_hooks.report.baselines'
        )


def measure_baselines(names, model, cfg, test_set):
    """Accuracy of logistic regressions on the same few-shot images.

    Args:
        names (Sequence[str]): Out of ``BASELINES``.
        model (nn.Module): With ``clip_features``.
        cfg (Config): Its ``train_dataloader.dataset`` is built again for the
            'train' and 'val' lists, with the pipeline of the test list, and
            its ``test_dataloader.batch_size`` is used.
        test_set (Dataset): What to test on.

    Returns:
        dict[str, float]: Accuracy in per cent of each baseline.
    """
    from ..evaluation import search_linear_probe

    if not names:
        return {}
    pipeline = cfg.test_dataloader.dataset.pipeline
    sets = [few_shot_set(cfg, split, pipeline) for split in ('train', 'val')] + [test_set]
    check_apart(*sets[1:])
    found = {}
    for name in names:
        with undisturbed(model):
            train, val, test = (features(name, model, s, cfg) for s in sets)
        predicted = search_linear_probe(train, val).classifier.predict(test[0].astype(np.float64))
        # the test evaluator's own arithmetic: a share in single precision, to the last digit
        found[name] = float(Accuracy.calculate(predicted, test[1]))
    return found


def few_shot_set(cfg, split, pipeline, **options):
    """Dataset: Another list of the training set's benchmark, same draw unless options differ."""
    about = dict(cfg.train_dataloader.dataset, split=split, pipeline=pipeline, **options)
    dataset = DATASETS.build(about)
    dataset.full_init()
    return dataset


def features(name, model, dataset, cfg):
    """tuple[np.ndarray, np.ndarray]: Features (N, D) and labels (N,).

    Args:
        name (str): 'raw_pixels', or else frozen image features.
        model (nn.Module): With ``clip_features``.
        dataset (Dataset): The images.
        cfg (Config): Gives batch size, workers and cache of the test.
    """
    from ..evaluation import frozen_features, pixel_features, stored_images
    from ..evaluation.frozen_features import Passes

    if name == 'raw_pixels':
        images, labels = stored_images(dataset)
        return pixel_features(images), np.asarray(labels)
    model.eval()
    loader = cfg.test_dataloader
    found = frozen_features(
        model,
        dataset,
        cache_dir=cfg.test_cfg.get('cache_dir'),
        passes=Passes(loader.batch_size, loader.get('num_workers', 0)),
    )
    labels = [dataset.get_data_info(i)['gt_label'] for i in range(len(dataset))]
    return found.float().numpy(), np.array(labels)


def check_apart(val, test, remedy='Take the baselines out of default_hooks.report'):
    """Raise ValueError if settings would be chosen on test images."""
    paths = [[d.get_data_info(i)['img_path'] for i in range(len(d))] for d in (val, test)]
    if paths[0] == paths[1]:
        raise ValueError(
            'the val list of this benchmark is its test list: settings would be chosen '
            f'on the test images. {remedy}'
        )


@torch.no_grad()
def logits_of(model: nn.Module, images: Dataset, batch_size: int = 32) -> torch.Tensor:
    """Logits (N, C) of images with labels or without, in single precision on the CPU.

    Args:
        model (nn.Module): A classifier of MMPretrain's interface; in test mode afterwards.
        images (Dataset): With the test transforms.
        batch_size (int): Images at once.
    """
    prepare: Any = model.eval().data_preprocessor
    rows = []
    for batch in DataLoader(images, batch_size, collate_fn=default_collate):
        inputs = prepare(batch, training=False)['inputs']
        rows.append(model(inputs, mode='tensor').float().cpu())
    return torch.cat(rows)
