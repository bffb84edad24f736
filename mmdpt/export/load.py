"""The model of a checkpoint, ready to be exported."""

from typing import NamedTuple

import torch.nn as nn
from mmengine.config import Config
from mmpretrain import ImageClassificationInferencer

from mmdpt.apis.plan import build, plan_of_checkpoint
from mmdpt.evaluation.calibration import Calibration
from mmdpt.paths import find_config


class Loaded(NamedTuple):
    """A model and the transforms of its test images."""

    model: nn.Module
    pipeline: list
    precision: str  # of the towers in training
    checkpoint: str | None
    calibration: Calibration | None = None


def load_for_export(
    checkpoint: str | None, config: str | None = None, pretrained: str | None = None
) -> Loaded:
    """Build a trained model in single precision on the CPU.

    Args:
        checkpoint (str, optional): File that training wrote. None: the method
            learns nothing (zero-shot CLIP); then ``config`` is needed.
        config (str, optional): Config file, for checkpoints that do not carry
            their own, and for methods that learn nothing.
        pretrained (str, optional): Where CLIP's weights are on this machine.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If the checkpoint is damaged, or missing though there is
            something to learn.
    """
    if checkpoint is None:
        return _without_checkpoint(config, pretrained)
    plan = plan_of_checkpoint(checkpoint, config)
    precision = plan.model.get('precision', 'fp32')
    if precision != 'fp32':
        plan = plan._replace(model=dict(plan.model, precision='fp32'))
    model = build(plan, pretrained=pretrained)
    return Loaded(model, plan.pipeline, precision, checkpoint, plan.calibration)


def _without_checkpoint(config: str | None, pretrained: str | None) -> Loaded:
    if config is None:
        raise ValueError('without a checkpoint a config is needed: --config FILE')
    cfg = Config.fromfile(find_config(config))
    precision = cfg.model.get('precision', 'fp32')
    if precision != 'fp32':
        cfg.model.precision = 'fp32'
    if pretrained is not None:
        cfg.model.pretrained = pretrained
    built = ImageClassificationInferencer(cfg, pretrained=False, device='cpu').model
    learnt = getattr(built, 'learnt_names', ())
    if learnt:
        raise ValueError(
            f'{config} learns {sorted(learnt)[0]} and more: give the checkpoint that holds them'
        )
    return Loaded(built.eval(), cfg.test_dataloader.dataset.pipeline, precision, None)
