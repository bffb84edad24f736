"""What a tuning is: the part of the towers themselves that learns."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
import torch.nn as nn
from mmengine.model import BaseModule

from ..part import ModelInfo, Part


class Tuning(Part, BaseModule):
    """Base of what changes the frozen towers' own computation.

    What is learnt is in the tuning alone; the towers hold references.

    Args:
        about (ModelInfo): The model, with both towers.
        init_cfg (dict, optional): Not used; a tuning initialises itself.

    Attributes:
        constant_below (int): It changes nothing below this block of the image
            tower.
        text_constant_below (int): The same of the text tower.
        changes_image (bool): Whether image features depend on it.
        drops_text (bool): Whether text features depend on the step's
            randomness, so that every process must encode all classes.
    """

    constant_below = text_constant_below = 0
    changes_image = True
    drops_text = False

    def __init__(self, about: ModelInfo, init_cfg: dict | None = None):
        super().__init__(init_cfg=init_cfg)

    def begin_step(
        self, samples: Sequence, device: torch.device, text_by_image: bool = False
    ) -> None:
        """Get ready for a training step; see :class:`LoRA`."""

    def text_parameters(self) -> list[nn.Parameter]:
        """What text features depend on."""
        return list(self.parameters())

    def off(self) -> AbstractContextManager:
        """The towers are the frozen ones inside this context."""
        raise NotImplementedError


def frozen_towers(tuning: Tuning | None) -> AbstractContextManager:
    """A context in which the towers are frozen CLIP's."""
    return nullcontext() if tuning is None else tuning.off()
