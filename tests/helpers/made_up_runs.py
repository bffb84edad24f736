"""Folders of runs with predictions, as trainings leave them, without any training."""

import json

import numpy as np
import torch

from mmdpt.evaluation.predictions import PREDICTIONS, ZERO_SHOT, Predictions
from mmdpt.utils.files import sha256_of, write_json
from mmdpt.utils.seal import sealed

TRUTH = 0  # seed of the images' labels and difficulty


def write_run(folder, method, seed, accuracy, images=500, classes=5, dataset='Digits', shots=4):
    """Writes one; a method is right where its accuracy is above an image's difficulty.

    Args:
        folder (Path): New.
        method (str): Its name.
        seed (int): Of the training.
        accuracy (float): About, as a share.
        images, classes (int): Their numbers.
        dataset (str): Its name.
        shots (int): Per class.
    """
    folder.mkdir(parents=True)
    names = [f'{dataset}/image_{i:05}.jpg' for i in range(images)]
    truth = np.random.default_rng(TRUTH)
    labels, hard = truth.integers(0, classes, images), truth.random(images)
    zero_shot = 0.5
    files, figures = {}, {}
    for name, share, draw in ((PREDICTIONS, accuracy, seed), (ZERO_SHOT, zero_shot, 99)):
        noise = np.random.default_rng(draw).normal(0, 0.02, images)
        right = hard + noise < share
        logits = np.zeros((images, classes), np.float32)
        logits[np.arange(images), (labels + ~right) % classes] = 3
        found = Predictions(
            torch.from_numpy(logits), torch.from_numpy(labels), names, [*map(str, range(classes))]
        )
        found.write(str(folder / name))
        files[name] = sha256_of(str(folder / name)).hexdigest()
        figures[name] = {'accuracy/top1': float(100 * right.mean())}
    results = dict(
        config=f'{method}_tiny_{dataset}_{shots}shot.py',
        method=method,
        benchmark=dataset,
        shots=shots,
        seed=seed,
        subset='all',
        draw_hash=f'{dataset} {shots} {seed}',
        few_shot=figures[PREDICTIONS],
        zero_shot=figures[ZERO_SHOT],
        files=files,
    )
    write_json(sealed(results), str(folder / 'results.json'))


def change_results(folder, **values):
    """Writes other results, with a valid checksum."""
    path = folder / 'results.json'
    results = json.loads(path.read_text())
    results.pop('checksum')
    write_json(sealed({**results, **values}), str(path))
