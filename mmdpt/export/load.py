"""The model of a checkpoint, ready to be exported."""
from typing import NamedTuple, Optional

import torch.nn as nn
from mmengine.config import Config
from mmpretrain import ImageClassificationInferencer

from mmdpt.engine import read_checkpoint
from mmdpt.visualization.loading import find_config


class Loaded(NamedTuple):
    """A model and the transforms of its test images."""
    model: nn.Module
    pipeline: list
    precision: str  # of the towers in training
    checkpoint: Optional[str]


def load_for_export(checkpoint: Optional[str], config: Optional[str] = None) -> Loaded:
    """Build a trained model in single precision on the CPU.

    Args:
        checkpoint (str, optional): File that training wrote. None: the method
            learns nothing (zero-shot CLIP); then ``config`` is needed.
        config (str, optional): Config file; by default the one that training
            left beside the checkpoint.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If the checkpoint is damaged, or missing though there is
            something to learn.
    """
    if checkpoint is not None:
        read_checkpoint(checkpoint)  # refuses what is damaged or carries code
    elif config is None:
        raise ValueError('without a checkpoint a config is needed: --config FILE')
    cfg = Config.fromfile(config or find_config(checkpoint))
    precision = cfg.model.get('precision', 'fp32')
    if precision != 'fp32':
        cfg.model.precision = 'fp32'
    built = ImageClassificationInferencer(cfg, pretrained=checkpoint or False, device='cpu').model
    learnt = getattr(built, 'learnt_names', ())
    if checkpoint is None and learnt:
        raise ValueError(f'{config} learns {sorted(learnt)[0]} and more: give the checkpoint that '
                         'holds them')
    return Loaded(built.eval(), cfg.test_dataloader.dataset.pipeline, precision, checkpoint)
