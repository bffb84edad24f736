"""What MMPretrain asks of a classifier, answered from a :class:`Match`."""

from contextlib import contextmanager

import torch
from mmpretrain.models import ImageClassifier
from mmpretrain.structures import DataSample

from .heads.base import SimilarityHead
from .heads.match import Match
from .text_features import TextFeatures

STAGES = ('backbone', 'neck', 'pre_logits')
FEATURES_AT_ONCE = 65_536  # in evaluation, text features where each image has its own


class MatchClassifier(ImageClassifier):
    """Base of :class:`PromptedCLIP`: MMPretrain's interface.

    Attributes:
        classes (list[str]): The class names.
        text (TextFeatures): The text side.
        head (SimilarityHead): Turns a match into logits, losses, predictions.
        _plain_head (SimilarityHead): That of zero-shot CLIP.
    """

    classes: list[str]
    text: TextFeatures
    _plain_head: SimilarityHead
    _zero_shot = False
    _other_meta: dict = {}

    def match(self, inputs: torch.Tensor, data_samples: list[DataSample] | None = None) -> Match:
        """One forward pass of images (B, 3, H, W)."""
        raise NotImplementedError

    def scores(self, inputs: torch.Tensor) -> torch.Tensor:
        """Logits (B, C) of what :meth:`match` takes.

        Where each image has text features of its own, an evaluation takes a few
        images at a time, so that there is never a tensor (B, C, E).
        """
        some = len(inputs)
        by_image = self.text.by_image and not self._zero_shot
        if by_image and not torch.is_grad_enabled():
            some = max(1, FEATURES_AT_ONCE // len(self.classes))
        head = self._active_head
        return torch.cat([head(self.match(part)) for part in inputs.split(max(some, 1))])

    def match_features(self, features: torch.Tensor) -> Match:
        """One forward pass from what is kept of images, (B, E) or (B, D)."""
        raise NotImplementedError

    @property
    def _active_head(self) -> SimilarityHead:
        return self._plain_head if self._zero_shot else self.head

    @contextmanager
    def zero_shot(self):
        """Classify with frozen CLIP and the templates inside this context."""
        self._zero_shot = True
        try:
            yield self
        finally:
            self._zero_shot = False

    @property
    def _dataset_meta(self) -> dict:
        """What MMPretrain's inferencers read: the classes are the model's,
        whatever data or checkpoint say (after a transfer they differ)."""
        return dict(self._other_meta, classes=list(self.classes))

    @_dataset_meta.setter
    def _dataset_meta(self, meta: dict | None) -> None:
        self._other_meta = dict(meta or {})

    def extract_feat(self, inputs: torch.Tensor, stage: str = 'neck'):
        """MMPretrain's interface: the image features, not normalised.

        Args:
            inputs (Tensor): Normalised images, (B, 3, H, W).
            stage (str): 'backbone' or 'neck', which are the same here, or
                'pre_logits'.

        Returns:
            tuple[Tensor] | Tensor: One (B, E) in a tuple; for 'pre_logits'
            without the tuple.

        Raises:
            ValueError: If there is no such stage.
        """
        if stage not in STAGES:
            raise ValueError(f'stage must be one of {", ".join(STAGES)}, but is {stage!r}.')
        image = self.match(inputs).image
        return image if stage == 'pre_logits' else (image,)

    def forward(
        self,
        inputs: torch.Tensor,
        data_samples: list[DataSample] | None = None,
        mode: str = 'tensor',
    ):
        """MMPretrain's interface; 'tensor' gives the logits, (B, C)."""
        if mode == 'tensor':
            return self.scores(inputs)
        return super().forward(inputs, data_samples, mode)

    def losses(self, inputs: torch.Tensor, data_samples: list[DataSample] | torch.Tensor) -> dict:
        """Loss terms by name, of samples or, as a compiled step has them, of their labels."""
        given = None if isinstance(data_samples, torch.Tensor) else data_samples
        return self.head.loss(self.match(inputs, given), data_samples)

    def parse_losses(self, losses: dict) -> tuple:
        """The sum of the losses and what is logged; with a head that has a
        second loss (ProGrad) the pair of both, which only the optimizer's
        wrapper made for it takes."""
        total, logs = super().parse_losses(losses)
        if self.head.second_loss is not None:
            total = torch.stack([total, losses[self.head.second_loss]])
        return total, logs

    def predict(
        self, inputs: torch.Tensor, data_samples: list[DataSample] | None = None, **kwargs
    ) -> list[DataSample]:
        """Predictions with scores (C,) and label."""
        return self._active_head._get_predictions(self.scores(inputs), data_samples, **kwargs)

    @torch.no_grad()
    def predict_features(
        self, features: torch.Tensor, data_samples: list[DataSample] | None = None
    ) -> list[DataSample]:
        """Predict from what :meth:`clip_features` gave, (B, E).

        Raises:
            ValueError: If the image would have to be prompted.
        """
        return self.predict(features, data_samples)
