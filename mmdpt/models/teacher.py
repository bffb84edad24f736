"""A second, frozen model that a head learns from (knowledge distillation)."""

import hashlib
import json
from collections.abc import Sequence

import torch
import torch.nn as nn
import torch.nn.functional as F
from mmengine.runner.checkpoint import load_checkpoint
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample


class Teacher(nn.Module):
    """Give the logits of a frozen CLIP, with or without trained prompts.

    It is not a submodule of the student: its tensors are in no checkpoint and
    no optimizer, and its text features are computed once.

    Args:
        model (dict): Config of a :class:`PromptedCLIP`, without ``type`` and
            ``classes``: ``arch``, ``pretrained``, ``text_prompt`` ... A
            training takes the prompts from the checkpoint where they are left
            out, see :func:`mmdpt.engine.teacher_recipe.complete_teacher`.
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
        self.config = dict(dict(templates=list(templates)), **model)
        self.model = MODELS.build(dict(self.config, type='PromptedCLIP', classes=list(classes)))
        if checkpoint is not None:
            # through the door of all checkpoints, see mmdpt.engine.checkpoint
            try:
                load_checkpoint(self.model, f'mmdpt:{checkpoint}', map_location='cpu', strict=True)
            except ValueError as error:
                told = str(error).replace('model.transfer', 'model.teacher.model.transfer')
                raise type(error)(f'The teacher {checkpoint!r}: {told}') from error
        self.requires_grad_(False).train(False)
        self._text: torch.Tensor | None = None
        self._kept: torch.Tensor | None = None  # logits of all training images, (N, C)
        self._rows: list[int] | None = None  # this step's

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
        if not same_normalisation(self.model.data_preprocessor, student.data_preprocessor):
            raise ValueError(
                'The teacher was trained with another normalisation of the images than the '
                'student: use weights of one family.'
            )

    @property
    def embed_dim(self) -> int:
        """Size E of its joint space."""
        return self.model.backbone.embed_dim

    @torch.no_grad()
    def text_features(self) -> torch.Tensor:
        """Its text features (C, E), normalised; computed once.

        Raises:
            ValueError: If they depend on the image.
        """
        if self.model.text.by_image:
            raise ValueError(
                f'The text features of the teacher depend on the image '
                f'({type(self.model.text_prompt).__name__}): choose another one, such as PromptSRC.'
            )
        if self._text is None:
            self._text = F.normalize(self.model.text_features(), dim=-1)
        return self._text

    def keep(self, logits: torch.Tensor | None) -> None:
        """Give these logits (N, C) for the training images from now on, by their index in the
        dataset, instead of running the towers; None: run them."""
        self._kept = logits

    def begin_step(self, data_samples: Sequence[DataSample]) -> None:
        """Learn which training images come next, where their logits are kept."""
        if self._kept is not None:
            self._rows = [sample.sample_idx for sample in data_samples]

    @torch.no_grad()
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits (B, C) of images normalised for the student."""
        rows, self._rows = self._rows, None
        if self._kept is not None and rows is not None:
            return self._kept[rows].to(images.device)
        if self.model.scale.device != images.device:
            self.model.to(images.device)
        return self.model(images)

    def fingerprint(self) -> str:
        """Hash of all that its logits depend on, besides the images: 64 hex digits."""
        about = dict(
            classes=self.model.classes,
            clip=self.model.clip_identity['fingerprint'],
            precision=str(next(self.model.backbone.parameters()).dtype),
            config={k: v for k, v in self.config.items() if k != 'pretrained'},
        )
        digest = hashlib.sha256(json.dumps(about, sort_keys=True, default=repr).encode())
        for name, tensor in sorted(self.model.state_dict().items()):
            digest.update(f'{name} {tensor.dtype} {tuple(tensor.shape)}'.encode())
            digest.update(tensor.cpu().contiguous().view(torch.uint8).numpy().data)
        return digest.hexdigest()


def same_normalisation(one: nn.Module, other: nn.Module) -> bool:
    """Whether two preprocessors hand on the same images; without mean there is no change."""
    for name in ('mean', 'std'):
        a, b = (getattr(p, name, None) for p in (one, other))
        if (a is None) != (b is None) or (a is not None and not torch.equal(a, b)):
            return False
    return one.to_rgb == other.to_rgb
