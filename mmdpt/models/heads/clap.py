"""Class prototypes that start at the text features: ZS-LP, CLAP, cross-modal probe."""

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn as nn
from mmpretrain.registry import MODELS

from ..part import ModelInfo
from .base import TermsHead
from .feature_space import FeatureHead, FeatureSpace, Labelled, class_means
from .match import Match, similarity


@MODELS.register_module()
class ZSLPHead(FeatureHead):
    """A linear probe that starts at the zero-shot classifier.

    `A Closer Look at the Few-Shot Adaptation of Large Vision-Language Models
    <https://arxiv.org/abs/2312.12730>`_: logits = scale cos(f, P),
    with one prototype P per class, at first the mean of the templates'
    features, nowhere normalised.

    Args:
        about (ModelInfo): The model.
        **kwargs: See :class:`SimilarityHead`.
    """

    def __init__(self, about: ModelInfo, **kwargs):
        super().__init__(about, **kwargs)
        size = (len(about.classes), about.image_tower.embed_dim)
        self.prototypes = nn.Parameter(torch.zeros(size))

    def transfer(self, old: Sequence[str]) -> set[str]:
        raise ValueError(
            f'transfer=True cannot carry the {len(old)} prototypes of {type(self).__name__} to '
            'other classes: they belong to the old ones. Train new ones.'
        )

    def forward(self, match: Match) -> torch.Tensor:
        return similarity(match.image, self.prototypes, match.scale)

    @torch.no_grad()
    def fit(self, space: FeatureSpace) -> None:
        """Start at the text."""
        self.prototypes.copy_(space.templates().mean(0))


@MODELS.register_module()
class CrossModalHead(ZSLPHead):
    """ZS-LP with text features as further training samples.

    `Multimodality Helps Unimodality <https://arxiv.org/abs/2301.06267>`_, as
    the authors of CLAP run it: as many text samples as rows of images, each the
    feature of a class and a template drawn at random; an epoch draws half of all
    rows, with replacement.
    """

    def extra_rows(self, space: FeatureSpace, generator: torch.Generator) -> Labelled:
        """As many features of filled templates as there are rows of images."""
        support, texts = space.support, space.templates()  # (T, C, E)
        rows, (count, classes, _) = len(support.labels), texts.shape
        template = torch.randint(count, (rows,), generator=generator).to(texts.device)
        labels = torch.randint(classes, (rows,), generator=generator).to(texts.device)
        return text_samples(support.match, texts, template, labels)

    def order(self, rows: int, generator: torch.Generator) -> torch.Tensor:
        """Half of the rows, with replacement."""
        return torch.randint(rows, (rows // 2,), generator=generator)


def text_samples(
    match: Match, texts: torch.Tensor, template: torch.Tensor, labels: torch.Tensor
) -> Labelled:
    """Text features (T, C, E), one row for each template and label, as if images."""
    return Labelled(match._replace(image=texts[template, labels].to(match.image)), labels)


@MODELS.register_module()
class CLAPHead(TermsHead, ZSLPHead):
    """ZS-LP whose prototypes are held near their start.

    `CLAP <https://arxiv.org/abs/2312.12730>`_: plus the mean over classes of
    lambda_c |P_c - t_c|^2. lambda_c is the mean zero-shot
    probability of the class's training images, so no validation images are
    needed.

    Args:
        about (ModelInfo): The model.
        multipliers (str): 'l2': that; 'corrected': times C over their sum;
            'constant': their mean for all; 'balanced': 1.
        adaptive (bool): Let them grow with the distance after each epoch.
        **kwargs: See :class:`SimilarityHead`.

    Raises:
        ValueError: If there are no multipliers of this name.
    """

    saved_buffers = ('start', 'multipliers', 'growth')

    def __init__(
        self,
        about: ModelInfo,
        multipliers: Literal['l2', 'corrected', 'constant', 'balanced'] = 'l2',
        adaptive: bool = False,
        **kwargs,
    ):
        super().__init__(about, **kwargs)
        if multipliers not in RULES:
            raise ValueError(
                f'multipliers must be one of {", ".join(RULES)}, but is {multipliers!r}.'
            )
        self.rule, self.adaptive = RULES[multipliers], adaptive
        self.register_buffer('start', torch.zeros_like(self.prototypes))
        self.register_buffer('multipliers', torch.zeros(len(about.classes)))
        self.register_buffer('growth', torch.zeros(len(about.classes)))

    @torch.no_grad()
    def fit(self, space: FeatureSpace) -> None:
        """Start at the text, and weigh the classes.

        Raises:
            ValueError: If a class has no training image.
        """
        super().fit(space)
        self.start.copy_(self.prototypes)
        match, labels = space.support
        own = self(match).softmax(1).gather(1, labels[:, None])
        means = class_means(own, labels, len(self.start))[:, 0]
        self.multipliers.copy_(self.rule(means))
        self.growth.zero_()

    def distances(self) -> torch.Tensor:
        """Squared distance of each prototype from its start, (C,)."""
        return (self.prototypes - self.start).square().sum(1)

    def terms(self, match: Match, target: torch.Tensor) -> dict[str, tuple[float, torch.Tensor]]:
        return dict(
            logits=(1.0, self.cross_entropy(self(match), target)),
            penalty=(1.0, (self.multipliers * self.distances()).mean()),
        )

    @torch.no_grad()
    def end_epoch(self) -> None:
        """Let the multipliers grow by growth times distance, if they are adaptive."""
        if self.adaptive:
            distances = self.distances()
            self.multipliers += self.growth * distances
            self.multipliers.clamp_(min=0)
            self.growth.copy_(distances)


RULES = dict(
    l2=lambda means: means,
    corrected=lambda means: means * len(means) / means.sum(),
    constant=lambda means: means.mean().expand_as(means),
    balanced=torch.ones_like,
)
