"""What a finished training, or ``mmdpt fit``, left in its folder; nothing in it is run."""

import os.path as osp
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from mmdpt.engine import CheckpointError, read_checkpoint
from mmdpt.engine.entry import read_calibration
from mmdpt.evaluation.calibration import Calibration
from mmdpt.evaluation.predictions import PREDICTIONS, ZERO_SHOT, Predictions
from mmdpt.paths import spoken
from mmdpt.results.fit_schema import FILE as FIT
from mmdpt.results.fit_schema import Fit, read_fit
from mmdpt.results.left_config import read_left_config
from mmdpt.results.read import result_rows
from mmdpt.results.schema import check
from mmdpt.utils.files import sha256_of
from mmdpt.utils.seal import read_sealed

RESULTS = 'results.json'
CROSS_VALIDATION, FOLDS = 'cross-validation', 'training photos, cross-validated'
TESTED = osp.join('test', 'test_predictions.npz')  # what mmdpt test adds to an older training


@dataclass(frozen=True)
class RunFolder:
    """A run, read and checked.

    Attributes:
        folder: The folder.
        predictions: What the learnt model says of the test photos.
        zero_shot: What frozen CLIP says of the same ones; None for a model without it.
        results: ``results.json``; empty where there is ``fit.json``, which says all and more.
        fit: ``fit.json``, where ``mmdpt fit`` made the run.
        config: Settings of the config in the folder, read as plain values.
        config_file: That config.
        checkpoint: The learnt model's file, if it is still there.
        calibration: What the checkpoint says of its probabilities, if it is calibrated.
    """

    folder: str
    predictions: Predictions
    zero_shot: Predictions | None = None
    results: dict[str, Any] = field(default_factory=dict)
    fit: Fit | None = None
    config: dict[str, Any] = field(default_factory=dict)
    config_file: str | None = None
    checkpoint: str | None = None
    calibration: Calibration | None = None

    @property
    def temperature(self) -> float:
        """What the logits are divided by, as in predictions."""
        return self.calibration.temperature if self.calibration else 1.0

    @property
    def method(self) -> str:
        """What the learnt model is called."""
        if self.fit is not None:
            return self.fit.chosen.title
        return result_rows(self.results, Path(self.folder, RESULTS))[0].method

    @property
    def cross_validated(self) -> bool:
        """Whether the predictions are those of folds of the training photos: with too few
        photos ``mmdpt fit`` holds none out."""
        data = self.predictions.identity.get('data')
        return isinstance(data, dict) and data.get('split') == CROSS_VALIDATION

    @property
    def is_zero_shot(self) -> bool:
        """Whether the model is zero-shot CLIP, as ``mmdpt fit`` may choose."""
        return self.zero_shot is not None and torch.equal(
            self.zero_shot.logits, self.predictions.logits
        )

    @property
    def measured_on(self) -> str:
        """What the predictions are of."""
        return FOLDS if self.cross_validated else ''

    @property
    def benchmark(self) -> str:
        """What the data are called."""
        if self.fit is not None:
            return osp.basename(osp.normpath(self.fit.data.source))
        return self.results.get('benchmark') or 'the test photos'


def read_run(folder: str) -> RunFolder:
    """Read a folder.

    Raises:
        OSError: If there is no such folder, or no finished run in it.
        ValueError: If a file in it is damaged, or not as it was written.
    """
    if not osp.isdir(folder):
        raise NotADirectoryError(
            f'{folder} is no folder: give the work directory of a training, or the output of '
            'mmdpt fit'
        )
    fit = read_fit(osp.join(folder, FIT)) if _has(folder, FIT) else None
    results = {} if fit else _results(folder)
    config_file = _config_file(folder, results)
    checkpoint = _checkpoint(folder, results)
    place = next((name for name in (PREDICTIONS, TESTED) if _has(folder, name)), None)
    if place is None:
        raise FileNotFoundError(_no_predictions(folder, config_file, checkpoint))
    predictions = _predictions(folder, place, results)
    if (predictions.labels < 0).any():
        raise ValueError(
            f'{osp.join(folder, place)} has photos without a label, so nothing is right or wrong: '
            'test on labelled photos'
        )
    zero_shot = None
    if _has(folder, ZERO_SHOT):
        zero_shot = _predictions(folder, ZERO_SHOT, results)
        if (zero_shot.digest, zero_shot.classes) != (predictions.digest, predictions.classes):
            raise ValueError(
                f'{ZERO_SHOT} and {PREDICTIONS} in {folder} are of different photos or classes: '
                'train again to write both'
            )
    return RunFolder(
        folder=folder,
        predictions=predictions,
        zero_shot=zero_shot,
        results=results,
        fit=fit,
        config=read_left_config(Path(config_file)) if config_file else {},
        config_file=config_file,
        checkpoint=checkpoint,
        calibration=_calibration(checkpoint),
    )


def inputs(folder: str) -> Iterator[str]:
    """The files of a run that must not be written over."""
    for path in sorted(Path(folder).glob('*')):
        if path.suffix in ('.py', '.npz', '.pth') or path.name in (RESULTS, FIT):
            yield str(path)


def _has(folder: str, name: str) -> bool:
    return osp.isfile(osp.join(folder, name))


def _results(folder: str) -> dict[str, Any]:
    path = osp.join(folder, RESULTS)
    if not _has(folder, RESULTS):
        raise FileNotFoundError(
            f'{folder} has no {RESULTS}: no training has finished there. Give the folder in which '
            'one has, or go on with: mmdpt train CONFIG --resume'
        )
    try:
        results = read_sealed(path)
        check(results)
    except ValueError as error:
        raise ValueError(f'{path} cannot be used: {error}') from None
    if results.get('few_shot') is None:
        raise ValueError(f'{path} is of no few-shot training: there is nothing to report on')
    return results


def _predictions(folder: str, name: str, results: dict) -> Predictions:
    path = osp.join(folder, name)
    said = results.get('files', {}).get(name)
    if said and said != sha256_of(path).hexdigest():
        raise ValueError(
            f'{path} is not the file that {RESULTS} names (SHA-256): take the one that the '
            'training wrote, or train again'
        )
    return Predictions.read(path)


def _config_file(folder: str, results: dict) -> str | None:
    """The config that the results name, else the only one."""
    named = osp.basename(results.get('config') or '')
    if named.endswith('.py') and _has(folder, named):
        return osp.join(folder, named)
    found = sorted(Path(folder).glob('*.py'))
    return str(found[0]) if len(found) == 1 else None


def _checkpoint(folder: str, results: dict) -> str | None:
    """By its name alone: a path in a file of results may lead anywhere, or nowhere by now."""
    said = results.get('checkpoint')
    named = said.get('path') if isinstance(said, dict) else 'model.pth'
    name = osp.basename(str(named))
    return osp.join(folder, name) if name.endswith('.pth') and _has(folder, name) else None


def _calibration(checkpoint: str | None) -> Calibration | None:
    """None, too, if the file is damaged, which the section about attention tells."""
    try:
        return read_calibration(read_checkpoint(checkpoint)['meta']) if checkpoint else None
    except (CheckpointError, OSError):
        return None


def _no_predictions(folder: str, config_file: str | None, checkpoint: str | None) -> str:
    config, learnt = (
        shlex.quote(path or instead)
        for path, instead in ((config_file, 'CONFIG'), (checkpoint, 'CHECKPOINT'))
    )
    place = shlex.quote(osp.join(folder, 'test'))
    return spoken(
        f'{folder} has no {PREDICTIONS}, which trainings write unless default_hooks.report.'
        f'predictions is off; an older mmdpt wrote none. This makes {osp.join(folder, TESTED)}, '
        f'which does as well: python tools/test.py {config} {learnt} --work-dir {place}'
    )
