"""What ``test`` leaves of each image, and the training that it is of."""

import argparse
import os.path as osp

from mmengine.dist import is_main_process
from mmengine.runner import Runner

from ..engine.collect_predictions import Collected
from ..engine.prediction_files import write_predictions
from ..evaluation.predictions import TESTED
from ..utils.unwrap import unwrapped
from .test_protocol import training_of


def tested_training(args: argparse.Namespace, runner: Runner, checkpoint: dict | None) -> dict:
    """Which training is tested, as ``results.json`` says it.

    Args:
        args (Namespace): Of the command ``test``.
        runner (Runner): That tests.
        checkpoint (dict, optional): Content of the file; None for zero-shot CLIP.
    """
    cfg, model = runner.cfg, unwrapped(runner.model)
    shared = cfg.get('dataset') or {}
    subset = shared.get('subset') or 'all'
    if checkpoint:
        return training_of(args, cfg, checkpoint['meta'], subset)
    return dict(
        config=args.config,
        benchmark=shared.get('name'),
        subset=subset,
        shots=0,
        seed=None,
        clip=model.identity()['clip'] if hasattr(model, 'identity') else None,
    )


def keep_predictions(
    args: argparse.Namespace, runner: Runner, training: dict, collected: Collected
) -> None:
    """Write the predictions of a test into its folder, and say where; the first process does."""
    if not is_main_process():
        return
    if collected.found is None:
        print(f'warning: {TESTED} is not written: {collected.reason}')
        return
    path = osp.join(runner.work_dir, TESTED)
    about = dict(training, checkpoint=args.checkpoint and dict(path=args.checkpoint))
    write_predictions(collected, path, about)
    print(f'predictions: {path}')
