"""What stored predictions say they belong to."""

import os.path as osp
from dataclasses import replace

from mmengine.runner import BaseLoop, Runner

from mmdpt.evaluation.predictions import ZERO_SHOT, Predictions
from mmdpt.utils.files import sha256_of

from .collect_predictions import Collected, PredictionCollector, collect_predictions
from .published import WEIGHTS, is_published
from .used_for import list_of


class KeptTests:
    """The predictions of a training's tests, until its results are written.

    Args:
        enable (bool): Whether to keep any.
    """

    def __init__(self, enable: bool = True):
        self.enable = enable
        self.collected: dict[str, Collected] = {}
        self._collector: PredictionCollector | None = None

    def begin(self, runner: Runner, loop: BaseLoop) -> None:
        """Keep those of the next test of a loop."""
        if self.enable:
            self._collector = collect_predictions(runner, loop)

    def end(self, name: str) -> None:
        """After that test; ``name``: of the file."""
        if self._collector is not None:
            self.collected[name] = self._collector.take()
            self._collector = None

    def write(self, runner: Runner, results: dict) -> dict[str, str]:
        """Write the files beside the results.

        Returns:
            dict[str, str]: SHA-256 of each, by name.
        """
        written = {}
        for name, collected in self.collected.items():
            training = results
            if name == ZERO_SHOT:
                training = dict(results, method='zero_shot', shots=0, seed=None, draw_hash=None)
                training['checkpoint'] = training['used_for'] = None
            if collected.found is None:
                runner.logger.warning(f'{name} is not written: {collected.reason}')
            else:
                path = osp.join(runner.work_dir, name)
                written[name] = write_predictions(collected, path, training)
        return written


def write_predictions(collected: Collected, path: str, training: dict) -> str:
    """Write the predictions of a test, with their identity.

    Args:
        collected (Collected): What the test has left; ``found`` is not None.
        path (str): The file.
        training (dict): As ``results.json`` has it; without ``checkpoint`` nothing was learnt.

    Returns:
        str: SHA-256 of the file.
    """
    found = collected.found
    assert found is not None
    replace(found, identity=identity_of(found, collected, training)).write(path)
    return sha256_of(path).hexdigest()


def identity_of(found: Predictions, collected: Collected, training: dict) -> dict:
    """See :func:`write_predictions` and docs/trust.md."""
    meta = getattr(collected.dataset, 'metainfo', None) or {}
    data = dict(
        benchmark=meta.get('benchmark') or training.get('benchmark'),
        split=list_of(collected.dataset, 'test'),
        subset=meta.get('subset') or training.get('subset'),
        images=len(found.images),
        digest=found.digest,
        **({'data_protocol': meta['data_protocol']} if meta.get('data_protocol') else {}),
    )
    draw = dict(draw_hash=training.get('draw_hash'))
    named = ('config', 'method', 'shots', 'seed', 'clip')
    used = training.get('used_for') or {}
    learnt = {key: training.get(key) for key in ('benchmark', 'subset', 'shots', 'seed')}
    checkpoint = _checkpoint(training.get('checkpoint') or {})
    return dict(
        model=dict({key: training.get(key) for key in named}, checkpoint=checkpoint),
        data={**data, **draw},
        used_for=dict(
            training=dict(learnt, **draw, **used.get('training') or dict(split='train'))
            if checkpoint
            else None,
            selection=used.get('selection'),
            calibration=used.get('calibration'),
            report=data,
        ),
        scores=collected.scores,
    )


def _checkpoint(said: dict) -> dict | None:
    """Name and hash of what was learnt; a training has computed the hash already."""
    path = said.get('path')
    if not path:
        return None
    weights = osp.join(path, WEIGHTS) if is_published(path) else path
    digest = said.get('sha256') or sha256_of(weights).hexdigest()
    return dict(name=osp.basename(path), sha256=digest)
