"""What ``test --transductive`` refuses, and what it leaves for the tables."""

import argparse
import os.path as osp

from mmengine.runner import Runner

from ..engine.collect_predictions import Collected
from ..engine.prediction_files import ListFiles
from ..engine.provenance import now, package_commit, versions
from ..evaluation.transductive import PREFIX
from ..results.row import METRIC, NOTE, TRANSDUCTIVE, parse_name
from ..utils.files import write_json
from ..utils.seal import sealed

NAMES = f'protocol_{TRANSDUCTIVE}.json', f'protocol_{TRANSDUCTIVE}_with_training_images.json'


def check_transductive(args: argparse.Namespace) -> None:
    """Raise ValueError unless the options go together."""
    if args.with_training_images and not args.transductive:
        raise ValueError('--with-training-images says what --transductive sees: add that')
    if args.transductive and (args.tta or args.show or args.show_dir is not None):
        raise ValueError(
            '--transductive classifies all images together, so nothing is augmented or shown one '
            'by one: leave --tta, --show and --show-dir out'
        )


def tell_transductive(
    args: argparse.Namespace,
    runner: Runner,
    checkpoint: dict | None,
    training: dict,
    metrics: dict[str, float],
    collected: Collected,
) -> None:
    """Print the figure, and write it where ``collect_results`` finds it.

    Args:
        args (Namespace): Of the command ``test``.
        runner (Runner): That has tested.
        checkpoint (dict, optional): Content of the file; None for zero-shot CLIP.
        training (dict): See :func:`tested_training`.
        metrics (dict[str, float]): What it found.
        collected (Collected): What it said of each image.
    """
    name = parse_name(args.config)[0]
    name = (training.get('method') or name) if checkpoint else name.replace('zeroshot', 'zero_shot')
    extra = ''
    if args.with_training_images:
        train = runner.test_loop.train_set
        training = dict(training, shots=train.shots, seed=train.seed, draw_hash=train.draw_hash)
        extra = ', with the training images'
    dataset = runner.test_dataloader.dataset
    target = (dataset.metainfo.get('benchmark') or training['benchmark']) or 'test'
    top1 = metrics[f'{PREFIX}/{METRIC}']
    path = osp.join(
        osp.dirname(args.checkpoint) if checkpoint else runner.work_dir,
        NAMES[args.with_training_images],
    )
    tested = args.checkpoint and dict(path=args.checkpoint)
    files = ListFiles(path, dict(training, checkpoint=tested))
    files.write(target, collected)
    results = dict(
        training,
        files=files.written,
        protocol=TRANSDUCTIVE,
        method=f'{name} + TransCLIP{extra}',
        accuracy={target: top1},
        test_images=len(dataset),
        versions=versions(),
        commit=package_commit(),
        finished=now(),
    )
    write_json(sealed(results), path, indent=1)
    print(f'\n{results["method"]} ({NOTE}): {METRIC} {top1:.2f} on {len(dataset)} images')
    print(f'  results: {path}')
