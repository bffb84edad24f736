"""Keep what a test said of each image: every test passes it to its evaluator's metrics."""

import os.path as osp
from typing import Any, NamedTuple

import numpy as np
import torch
from mmengine.evaluator import BaseMetric, Evaluator
from mmengine.model import BaseTTAModel
from mmengine.runner import BaseLoop, Runner

from mmdpt.evaluation.predictions import Predictions
from mmdpt.utils.unwrap import unwrapped

from .hooks import image_paths, inner_datasets


class Collected(NamedTuple):
    """What a test has left.

    Attributes:
        found: In the order of the dataset, on the first process; elsewhere None.
        scores: 'logits', or 'log-probabilities' of a model that gives no logits.
        reason: Why there are none.
        dataset: What was tested.
    """

    found: Predictions | None
    scores: str
    reason: str
    dataset: Any


class PredictionCollector(BaseMetric):
    """A metric without figures, which keeps the rows of logits.

    Args:
        evaluator (Evaluator): That it is a metric of.
        dataset (Dataset): What is tested.
        model (nn.Module): Says the names of the classes; one that averages augmented views has
            no logits of its own.
    """

    default_prefix = 'predictions'

    def __init__(self, evaluator: Evaluator, dataset: Any, model: torch.nn.Module):
        super().__init__()
        self.evaluator, self.dataset, self.model = evaluator, dataset, unwrapped(model)
        self.averaged = any(isinstance(module, BaseTTAModel) for module in model.modules())
        self.found: Predictions | None = None
        self.reason, self.scores = 'nothing was tested', ''

    def take(self) -> Collected:
        """What the test has left; the evaluator goes on without this metric."""
        self.evaluator.metrics.remove(self)
        return Collected(self.found, self.scores, self.reason, self.dataset)

    def process(self, data_batch: Any, data_samples: list[dict]) -> None:
        """Take in a batch."""
        if any('pred_score' not in sample for sample in data_samples):
            self.reason = 'the model gives no score per class'
            return
        told = all('pred_logits' in sample for sample in data_samples)
        kind = 'pred_logits' if told and not self.averaged else 'pred_score'
        rows = torch.stack([sample[kind] for sample in data_samples]).detach().float().cpu()
        if kind == 'pred_score':
            rows = rows.clamp_min(torch.finfo(rows.dtype).tiny).log()
        self.scores = 'logits' if kind == 'pred_logits' else 'log-probabilities'
        for row, sample in zip(rows.numpy(), data_samples):
            label = sample.get('gt_label')
            known = int(label) if label is not None and label.numel() == 1 else -1
            self.results.append((sample.get('img_path'), known, row, self.scores))

    def compute_metrics(self, results: list) -> dict:
        """Put the rows of all processes in the dataset's order; no figures."""
        self.found = None
        if not results:
            return {}
        self.scores = results[0][-1]
        try:
            self.found = self._predictions(results)
        except ValueError as error:
            self.reason = str(error)
        return {}

    def _predictions(self, results: list) -> Predictions:
        paths, labels, rows, _ = zip(*results)
        known = image_paths(self.dataset)
        known = [] if None in known else known
        order = list(range(len(rows)))
        if known and None not in paths:  # whatever the order of the test
            place = {path: i for i, path in enumerate(paths)}
            absent = [path for path in known if path not in place]
            if absent:
                raise ValueError(f'{len(absent)} images were not tested, as {absent[0]}')
            order = [place[path] for path in known]
        logits = torch.from_numpy(np.stack([rows[i] for i in order]))
        truth = torch.tensor([labels[i] for i in order])
        keys = image_keys(self.dataset, known) if known else [str(i) for i in order]
        return Predictions(logits, truth, keys, self._classes(logits.shape[1]))

    def _classes(self, count: int) -> list[str]:
        meta = getattr(self.dataset, 'metainfo', None) or {}
        names = getattr(self.model, 'classes', None) or meta.get('classes') or ()
        return list(names) if len(names) == count else [str(i) for i in range(count)]


def collect_predictions(runner: Runner, loop: BaseLoop) -> PredictionCollector:
    """Let the next test of a loop leave its predictions, too.

    Args:
        runner (Runner): The runner.
        loop (BaseLoop): Its test loop, or its validation.

    Returns:
        PredictionCollector: Has them after the test.
    """
    collector = PredictionCollector(loop.evaluator, loop.dataloader.dataset, runner.model)
    loop.evaluator.metrics.append(collector)
    return collector


def image_keys(dataset: Any, paths: list[str]) -> list[str]:
    """Names of images, which do not say where on this machine they are; each once.

    Args:
        dataset (Dataset): Of mmdpt, it knows the folder of its images.
        paths (list[str]): ``img_path`` of each.
    """
    layouts: list[Any] = [getattr(inner, 'layout', None) for inner in inner_datasets(dataset)]
    roots = [osp.join(layout.images, '') for layout in layouts if hasattr(layout, 'images')]
    folders = [getattr(inner, 'unlabelled', None) for inner in inner_datasets(dataset)]
    roots += [osp.join(osp.expanduser(f), '') for f in folders if isinstance(f, str)]
    keys: list[str] = []
    times: dict[str, int] = {}
    for path in paths:
        root = next((root for root in roots if path.startswith(root)), '')
        key = path[len(root) :]
        times[key] = times.get(key, 0) + 1
        keys.append(key if times[key] == 1 else f'{key}#{times[key]}')
    return keys
