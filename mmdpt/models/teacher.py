"""A second, frozen model that a head learns from (knowledge distillation)."""

from collections.abc import Sequence

import torch
import torch.nn as nn
from mmengine.runner.checkpoint import load_checkpoint
from mmpretrain.registry import MODELS


class Teacher(nn.Module):
    """Give the logits of a frozen CLIP, with or without trained prompts.

    It is not a submodule of the student: its tensors are in no checkpoint and
    no optimizer, and its text features are computed once.

    Args:
        model (dict): Config of a :class:`PromptedCLIP`, without ``type`` and
            ``classes``: ``arch``, ``pretrained``, ``text_prompt`` ...
        classes (Sequence[str]): The student's classes.
        templates (Sequence[str]): The student's templates, where ``model``
            has none.
        checkpoint (str, optional): File with the teacher's prompts, or a folder
            of the command publish; None: zero-shot CLIP.

    Raises:
        ValueError: If prompts are configured without a checkpoint, or the
            checkpoint is damaged, or belongs to other classes or weights.
        FileNotFoundError: If there is no such checkpoint.
    """

    def __init__(
        self,
        model: dict,
        classes: Sequence[str],
        templates: Sequence[str],
        checkpoint: str | None = None,
    ):
        super().__init__()
        theirs = model.get('classes', list(classes))
        if list(theirs) != list(classes):
            raise ValueError(
                f'The teacher has {len(theirs)} classes ({theirs[0]}, ...), the student '
                f'{len(classes)} ({classes[0]}, ...): they must be the same, in the same order.'
            )
        learns = [k for k in ('text_prompt', 'visual_prompt', 'tuning') if model.get(k)]
        if learns and checkpoint is None:
            raise ValueError(
                f'The teacher has a {learns[0]}, which would be random: set teacher.checkpoint '
                'to the file of its training, or leave the prompts out.'
            )
        config = dict(dict(templates=list(templates)), **model)
        self.model = MODELS.build(dict(config, type='PromptedCLIP', classes=list(classes)))
        if checkpoint is not None:
            # through the door of all checkpoints, see mmdpt.engine.checkpoint
            load_checkpoint(self.model, f'mmdpt:{checkpoint}', map_location='cpu', strict=True)
        self.requires_grad_(False).train(False)

    def train(self, mode: bool = True) -> 'Teacher':
        """Stay in evaluation mode."""
        return super().train(False)

    def __deepcopy__(self, memo: dict) -> 'Teacher':
        """Copies of the student (moving averages) share the one teacher."""
        return self

    def check_images(self, student: nn.Module) -> None:
        """Raise ValueError unless it takes the images of a student."""
        mine, theirs = self.model.backbone.image_size, student.backbone.image_size
        if mine != theirs:
            raise ValueError(
                f'The teacher takes images of {mine[0]}x{mine[1]}, the student of '
                f'{theirs[0]}x{theirs[1]}: use architectures of one size.'
            )
        pair = [(m.data_preprocessor.mean, m.data_preprocessor.std) for m in (self.model, student)]
        if any(a is None or b is None or not torch.equal(a, b) for a, b in zip(*pair)):
            raise ValueError(
                'The teacher was trained with another normalisation of the images than the '
                'student: use weights of one family.'
            )

    @torch.no_grad()
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits (B, C) of images normalised for the student."""
        return self.model.to(images.device)(images)
