"""The figures of :mod:`metrics` and :mod:`ood` in a config's ``test_evaluator``."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmengine.evaluator import BaseMetric
from mmpretrain.registry import METRICS

from . import metrics, ood
from .calibration_error import BINS

UNKNOWN = -1  # the label of an image of none of the classes


@METRICS.register_module()
class CalibrationMetric(BaseMetric):
    """Calibration, proper scores, selective and per-class figures; see :func:`metrics.summary`.

    Images whose label is unknown (-1) do not count.

    Args:
        bins (int): Of the calibration errors.
        **kwargs: ``collect_device``, ``prefix``, ``collect_dir`` of MMEngine's ``BaseMetric``.
    """

    default_prefix = 'calibration'

    def __init__(self, bins: int = BINS, **kwargs):
        super().__init__(**kwargs)
        self.bins = bins

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Take in a batch."""
        for sample in data_samples:
            label, score = int(sample['gt_label']), sample['pred_score']
            if label != UNKNOWN:
                tiny = torch.finfo(score.dtype).tiny
                self.results.append((score.clamp_min(tiny).log().cpu().double().numpy(), label))

    def compute_metrics(self, results: list) -> dict[str, float]:
        """The figures of all processes' images."""
        rows, labels = zip(*results)
        return metrics.summary(np.stack(rows), np.array(labels), self.bins)


@METRICS.register_module()
class OODMetric(BaseMetric):
    """How well scores tell images of the classes from others, whose label is -1.

    Args:
        scores (Sequence[str]): Out of 'msp', 'mcm', 'energy'; see :func:`ood.scores`.
        temperature (float): Of each of them.
        scale (float): Of the logits, for 'mcm'; CLIP's is 100.
        **kwargs: ``collect_device``, ``prefix``, ``collect_dir`` of MMEngine's ``BaseMetric``.

    Raises:
        ValueError: If there is no such score.
    """

    default_prefix = 'ood'

    def __init__(
        self,
        scores: Sequence[str] = ood.SCORES,
        temperature: float = 1.0,
        scale: float = 100.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.scores, self.options = tuple(scores), dict(temperature=temperature, scale=scale)
        for score in self.scores:
            ood.scores(np.zeros((1, 2)), score, **self.options)

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Take in a batch.

        Raises:
            ValueError: If the model has no logits, or they are not those of the scores.
        """
        for sample in data_samples:
            logits, score = sample.get('pred_logits'), sample['pred_score']
            if logits is None or not torch.allclose(logits.softmax(0), score, atol=1e-3):
                raise ValueError(
                    'OODMetric needs the logits of one view of an image, which only PromptedCLIP '
                    'gives, and without --tta: take it out of test_evaluator'
                )
            self.results.append((logits.cpu().double().numpy(), int(sample['gt_label'])))

    def compute_metrics(self, results: list) -> dict[str, float]:
        """The figures of each score, as ``SCORE_FIGURE``."""
        logits, outside = np.stack([r[0] for r in results]), np.array([r[1] for r in results]) < 0
        found = {}
        for score in self.scores:
            values = ood.scores(logits, score, **self.options)
            figures = ood.summary(values[~outside], values[outside])
            found.update({f'{score}_{name}': value for name, value in figures.items()})
        return found
