"""PromptKD: a small model learns a large one's answers to unlabelled images."""

from collections.abc import Sequence

import torch
import torch.nn as nn
import torch.nn.functional as F
from mmpretrain.registry import MODELS

from mmdpt.utils.checks import check_count, check_weight
from mmdpt.utils.values import Size

from ..part import ModelInfo
from .base import TermsHead
from .batch_norm import BatchNorm
from .match import similarity


@MODELS.register_module()
class PromptKDHead(TermsHead):
    """Compare the projected image feature with the teacher's text features.

    `PromptKD <https://arxiv.org/abs/2403.02781>`_: T^2 times the divergence
    of the softened predictions. The projector maps the image feature into the
    teacher's joint space, whose text features, computed once, are part of the
    checkpoint: predicting needs no teacher. As in their code the divergence is
    averaged over images *and* classes. No label is read.

    Args:
        about (ModelInfo): The model.
        size (int): Of the teacher's joint space, such as 768 for ViT-L-14.
        weight (float): Of the divergence. Defaults to 1000.
        temperature (float): T, divides both sides' logits. Defaults to 1.
        **kwargs: ``topk`` and ``init_cfg`` of :class:`SimilarityHead`.

    Raises:
        ValueError: If a value is out of range, the teacher has another size, or
            an option is about labels.
    """

    requires = keeps = frozenset(('teacher',))
    reads_labels = False
    saved_buffers = ('text',)

    def __init__(
        self,
        about: ModelInfo | None = None,
        size: Size = 768,
        weight: float = 1000.0,
        temperature: float = 1.0,
        **kwargs,
    ):
        for name in ('loss', 'cal_acc'):
            if kwargs.get(name):
                raise ValueError(
                    f'PromptKDHead reads no label, so it takes no {name}: leave it out.'
                )
        super().__init__(about, **kwargs)
        check_count('size', size, 1, 4096, "of the teacher's joint space")
        check_weight('weight', weight)
        check_weight('temperature', temperature)
        if temperature == 0:
            raise ValueError('temperature must not be 0.')
        self.weight, self.temperature = weight, temperature
        self.projector = nn.Sequential(
            nn.Linear(about.image_tower.embed_dim, size),
            BatchNorm(size),
            nn.ReLU(),
            nn.Linear(size, size),
        )
        self._classes = list(about.classes)
        self._teacher = (about.teacher,)  # not a submodule
        text = torch.zeros(len(about.classes), size)
        if about.teacher is not None:
            if about.teacher.embed_dim != size:
                raise ValueError(
                    f"The teacher's joint space has the size {about.teacher.embed_dim}, but "
                    f'model.head.size is {size}: set it to {about.teacher.embed_dim}.'
                )
            text = about.teacher.text_features()
        self.register_buffer('text', text.clone())

    def set_epoch(self, epoch: int) -> None:
        """Refuse to go on from a checkpoint that another teacher taught.

        Raises:
            ValueError: If its text features are not the teacher's.
        """
        (teacher,) = self._teacher
        if teacher is None:
            return
        theirs = teacher.text_features().to(self.text)
        if not torch.allclose(self.text, theirs, atol=1e-3):
            raise ValueError(
                'The checkpoint has the text features of another teacher than model.teacher: set '
                'it to the one of that training, or start without the checkpoint.'
            )

    def check_soft_labels(self) -> None:
        raise ValueError(
            'PromptKDHead reads no label, which batch augmentation (mixup, cutmix) mixes: take it '
            'out of model.train_cfg.augments.'
        )

    def transfer(self, old: Sequence[str]) -> set[str]:
        """With a teacher its text features are those of the new classes; without one the new
        classes are some of the old."""
        unknown = [name for name in self._classes if name not in old]
        if unknown and self._teacher == (None,):
            raise ValueError(
                f"the checkpoint has the teacher's text features of its {len(old)} classes alone, "
                f'and {unknown[0]!r} is not among them: set model.teacher, which gives those of '
                'other classes.'
            )
        return set() if self._teacher == (None,) else {'text'}

    def rows(self, old: Sequence[str]) -> dict[str, list[int]]:
        if self._teacher != (None,):
            return {}
        return dict(text=[old.index(name) for name in self._classes])

    def forward(self, match):
        return similarity(self.projector(match.image), self.text, match.scale)

    def terms(self, match, target=None):
        logits, t = self(match), self.temperature
        divergence = F.kl_div(
            (logits / t).log_softmax(1),
            (match.teacher.to(logits.dtype) / t).log_softmax(1),
            log_target=True,
            reduction='none',
        ).mean()
        return dict(kl_logits=(self.weight, t**2 * divergence))

    def loss(self, match, data_samples, **kwargs) -> dict:
        """``loss_kl_logits``, whatever the samples say."""
        return {f'loss_{name}': w * value for name, (w, value) in self.terms(match).items()}
