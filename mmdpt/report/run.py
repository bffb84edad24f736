"""What a finished training, or ``mmdpt fit``, left in its folder; nothing in it is run."""

import os.path as osp
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmdpt.evaluation.predictions import PREDICTIONS, ZERO_SHOT, Predictions
from mmdpt.paths import spoken
from mmdpt.results.fit_schema import FILE as FIT
from mmdpt.results.fit_schema import Fit, read_fit
from mmdpt.results.left_config import read_left_config
from mmdpt.results.read import result_rows
from mmdpt.results.schema import check
from mmdpt.utils.seal import read_sealed

RESULTS = 'results.json'


@dataclass(frozen=True)
class RunFolder:
    """A run, read and checked.

    Attributes:
        folder: The folder.
        predictions: What the learnt model says of the test photos.
        zero_shot: What frozen CLIP says of the same ones; None for a model without it.
        results: ``results.json``; empty where ``mmdpt fit`` wrote ``fit.json`` alone.
        fit: ``fit.json``, where ``mmdpt fit`` made the run.
        config: Settings of the config in the folder, read as plain values.
        config_file: That config.
        checkpoint: The learnt model's file, if it is still there.
    """

    folder: str
    predictions: Predictions
    zero_shot: Predictions | None = None
    results: dict[str, Any] = field(default_factory=dict)
    fit: Fit | None = None
    config: dict[str, Any] = field(default_factory=dict)
    config_file: str | None = None
    checkpoint: str | None = None

    @property
    def method(self) -> str:
        """What the learnt model is called."""
        if self.fit is not None:
            return self.fit.chosen.title
        return result_rows(self.results, Path(self.folder, RESULTS))[0].method

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
    results = _results(folder, fit is not None)
    config_file = _config_file(folder, results)
    checkpoint = _checkpoint(folder, results)
    if not _has(folder, PREDICTIONS):
        raise FileNotFoundError(_no_predictions(folder, config_file, checkpoint))
    predictions = Predictions.read(osp.join(folder, PREDICTIONS))
    if (predictions.labels < 0).any():
        raise ValueError(
            f'{osp.join(folder, PREDICTIONS)} has photos without a label, so nothing is right or '
            'wrong: test on labelled photos'
        )
    zero_shot = None
    if _has(folder, ZERO_SHOT):
        zero_shot = Predictions.read(osp.join(folder, ZERO_SHOT))
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
    )


def inputs(folder: str) -> Iterator[str]:
    """The files of a run that must not be written over."""
    for path in sorted(Path(folder).glob('*')):
        if path.suffix in ('.py', '.npz', '.pth') or path.name in (RESULTS, FIT):
            yield str(path)


def _has(folder: str, name: str) -> bool:
    return osp.isfile(osp.join(folder, name))


def _results(folder: str, fitted: bool) -> dict[str, Any]:
    path = osp.join(folder, RESULTS)
    if not _has(folder, RESULTS):
        if fitted:
            return {}
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


def _no_predictions(folder: str, config_file: str | None, checkpoint: str | None) -> str:
    config, learnt = (
        shlex.quote(path or instead)
        for path, instead in ((config_file, 'CONFIG'), (checkpoint, 'CHECKPOINT'))
    )
    return spoken(
        f'{folder} has no {PREDICTIONS}, which every training writes by now. Make it: '
        f'python tools/test.py {config} {learnt} --work-dir {shlex.quote(folder)}'
    )
