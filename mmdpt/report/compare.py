"""Runs side by side."""

import os.path as osp
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch

from mmdpt.engine.provenance import now
from mmdpt.evaluation.intervals import holm
from mmdpt.evaluation.predictions import Predictions
from mmdpt.version import __version__

from . import accuracy, pictures
from .content import Answer, Comparison, Difference, Disagreement, Run, Setting
from .data import open_photos
from .run import RunFolder

MOST_RUNS, MOST_SETTINGS, SHOWN = 10, 60, 32
LONGEST = 80  # letters of a setting's value
# of the machine, the place and the moment; or handed on from another setting
UNTOLD = ('work_dir', 'launcher', 'log_level', 'log_processor', 'resume', 'load_from', 'env_cfg')


def compare(runs: Sequence[RunFolder]) -> tuple[Comparison, dict[str, str]]:
    """Compare runs, the others with the first one.

    Args:
        runs (Sequence[RunFolder]): At least two.

    Returns:
        tuple[Comparison, dict[str, str]]: The content, and thumbnails as data URIs.

    Raises:
        ValueError: If there is one run, one of them twice, or more than 10.
    """
    places = [osp.realpath(run.folder) for run in runs]
    if not 2 <= len(runs) <= MOST_RUNS or len(set(places)) < len(places):
        raise ValueError(f'give from 2 to {MOST_RUNS} different folders of runs, got {len(runs)}')
    names = _names(runs)
    common, told = _common([run.predictions for run in runs])
    settings = _settings([run.config for run in runs])
    shown, disagreeing = _disagreements(common) if common else ([], 0)
    files, reason = open_photos(runs[0].config)
    comparison = Comparison(
        title=' against '.join(names),
        made=now(),
        version=__version__,
        runs=[
            Run(name=name, folder=run.folder, accuracy=_accuracy(name, run))
            for name, run in zip(names, runs)
        ],
        images=told,
        summary=[],
        settings=settings[:MOST_SETTINGS],
        settings_left_out=max(0, len(settings) - MOST_SETTINGS),
        differences=_differences(names, common),
        disagreements=shown,
        disagreeing=disagreeing,
        photos_reason=reason,
    )
    return comparison, pictures.thumbnails(files, [p.image for p in shown])


def _names(runs: Sequence[RunFolder]) -> list[str]:
    """The methods, or the folders where these are not enough."""
    names = [run.method for run in runs]
    if len(set(names)) < len(names):
        names = [osp.basename(osp.normpath(run.folder)) for run in runs]
    return names if len(set(names)) == len(names) else [run.folder for run in runs]


def _accuracy(name: str, run: RunFolder):
    return accuracy.counted(name, 'other', run.predictions.correct())


def _common(found: list[Predictions]) -> tuple[list[Predictions], str]:
    """The photos that all runs were tested on, in one order and with the first run's classes."""
    first = found[0]
    if any(set(other.classes) != set(first.classes) for other in found):
        return [], 'The runs have different classes, so photos are not compared one by one.'
    if all((p.digest, p.classes) == (first.digest, first.classes) for p in found):
        return found, f'All runs were tested on the same {len(first.images)} photos.'
    shared = set(first.images).intersection(*(p.images for p in found[1:]))
    images = [image for image in first.images if image in shared]
    if not images:
        return [], 'The runs were tested on different photos, so they are not compared one by one.'
    aligned = [_aligned(p, images, first.classes) for p in found]
    if any(not torch.equal(p.labels, aligned[0].labels) for p in aligned):
        return [], 'The runs have different labels for the same photos: they are not compared.'
    return aligned, (
        f'Differences are of the {len(images)} photos that all runs were tested on, accuracies of '
        "each run's own."
    )


def _aligned(predictions: Predictions, images: list[str], classes: list[str]) -> Predictions:
    place = {image: i for i, image in enumerate(predictions.images)}
    rows = torch.tensor([place[image] for image in images])
    columns = torch.tensor([predictions.classes.index(name) for name in classes])
    number = torch.empty(len(classes), dtype=torch.int64)
    number[columns] = torch.arange(len(classes))
    return replace(
        predictions,
        logits=predictions.logits[rows][:, columns],
        labels=number[predictions.labels[rows]],
        images=images,
        classes=classes,
    )


def _differences(names: Sequence[str], common: Sequence[Predictions]) -> list[Difference]:
    """Of each other run to the first; of several, p is adjusted (Holm)."""
    found = [
        accuracy.difference(name, other, names[0], common[0])
        for name, other in zip(names[1:], common[1:])
    ]
    adjusted = holm([d.p for d in found]) if len(found) > 1 else [d.p for d in found]
    return [d.model_copy(update=dict(p=float(p))) for d, p in zip(found, adjusted)]


def _settings(configs: Sequence[Mapping[str, Any]]) -> list[Setting]:
    """Settings that are not the same in all runs."""
    flat = [_flat(config) for config in configs]
    names = sorted(set().union(*flat))
    found = []
    for name in names:
        values = [f.get(name, '–') for f in flat]
        if len(set(values)) > 1:
            found.append(Setting(name=name, values=[v[:LONGEST] for v in values]))
    return found


def _flat(value: Any, name: str = '') -> dict[str, str]:
    """Values by dotted name; what only repeats another setting is left out."""
    if not isinstance(value, dict) or not value:
        return {name: repr(value)} if name else {}
    found = {}
    for key, item in value.items():
        if not name and (key in UNTOLD or key.endswith('_pipeline')):
            continue
        found.update(_flat(item, f'{name}.{key}' if name else str(key)))
    return found


def _disagreements(common: Sequence[Predictions]) -> tuple[list[Disagreement], int]:
    """Photos with different answers: those first where somebody is right and very sure."""
    probabilities = torch.stack([p.probabilities() for p in common])  # (R, N, C)
    sure, answers = probabilities.max(-1)  # (R, N)
    labels, images, classes = common[0].labels, common[0].images, common[0].classes
    apart = (answers != answers[:1]).any(0)
    told = (sure * (answers == labels)).amax(0)
    order = told.masked_fill(~apart, -1).argsort(descending=True, stable=True)
    number = int(apart.sum())
    return [
        Disagreement(
            image=images[i],
            truth=classes[labels[i]],
            answers=[
                Answer(name=classes[answer], probability=float(p))
                for answer, p in zip(answers[:, i].tolist(), sure[:, i])
            ],
        )
        for i in order[: min(number, SHOWN)].tolist()
    ], number
