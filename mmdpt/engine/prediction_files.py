"""What stored predictions say they belong to."""

import os.path as osp
from dataclasses import replace
from typing import Any

from mmengine.dist import is_main_process
from mmengine.runner import BaseLoop, Runner

from mmdpt.evaluation.predictions import ZERO_SHOT, Predictions
from mmdpt.evaluation.protocols import predictions_file
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


class ListFiles:
    """The predictions of a protocol's lists, each written when it has been tested.

    Args:
        results (str): The protocol's file of results, which they lie beside.
        training (dict): As ``results.json`` has it.
        enable (bool): Whether to write any.

    Attributes:
        written: SHA-256 of each file, by name.
        missing: Why lists have none.
    """

    def __init__(self, results: str, training: dict, enable: bool = True):
        self.results, self.training, self.enable = results, training, enable
        self.written: dict[str, str] = {}
        self.missing: list[str] = []

    def write(self, part: str, collected: Collected, **data: Any) -> None:
        """Write those of one list; the first process does.

        Args:
            part (str): See :func:`mmdpt.evaluation.protocols.predictions_file`.
            collected (Collected): What its test has left.
            **data: What ``identity`` says of the images, where the dataset does not say it.
        """
        if not self.enable or not is_main_process():
            return
        path = predictions_file(self.results, part)
        if collected.found is None:
            self.missing.append(f'{osp.basename(path)} is not written: {collected.reason}')
        else:
            digest = write_predictions(collected, path, self.training, **data)
            self.written[osp.basename(path)] = digest


def write_predictions(collected: Collected, path: str, training: dict, **data: Any) -> str:
    """Write the predictions of a test, with their identity.

    Args:
        collected (Collected): What the test has left; ``found`` is not None.
        path (str): The file.
        training (dict): As ``results.json`` has it; without ``checkpoint`` nothing was learnt.
        **data: What ``identity`` says of the images instead of what the dataset says.

    Returns:
        str: SHA-256 of the file.
    """
    found = collected.found
    assert found is not None
    replace(found, identity=identity_of(found, collected, training, **data)).write(path)
    return sha256_of(path).hexdigest()


def identity_of(found: Predictions, collected: Collected, training: dict, **other: Any) -> dict:
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
    data.update(other)
    draw = dict(draw_hash=training.get('draw_hash'))
    named = ('config', 'method', 'shots', 'seed', 'clip')
    used = training.get('used_for') or {}
    learnt = {key: training.get(key) for key in ('benchmark', 'subset', 'shots', 'seed')}
    checkpoint = named_checkpoint(training.get('checkpoint') or {})
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


def named_checkpoint(said: dict) -> dict | None:
    """Name and hash of what was learnt; a training has computed the hash already."""
    path = said.get('path')
    if not path:
        return None
    weights = osp.join(path, WEIGHTS) if is_published(path) else path
    digest = said.get('sha256') or sha256_of(weights).hexdigest()
    return dict(name=osp.basename(path), sha256=digest)
