"""LP++: a linear probe whose rates come from the data."""

from collections.abc import Iterator, Sequence

import torch
import torch.nn as nn
import torch.nn.functional as F
from mmpretrain.registry import MODELS

from mmdpt.utils.checks import check_least, check_weight

from ..part import ModelInfo
from .feature_space import FeatureHead, FeatureSpace, Found, Labelled, class_sums, percent
from .match import Match


@MODELS.register_module()
class LPPPHead(FeatureHead):
    """A linear probe and a learnt share of the text, per class.

    `LP++: A Surprisingly Strong Linear Probe for Few-Shot CLIP
    <https://arxiv.org/abs/2404.02285>`_: logits = f W + b + alpha
    cos(f, text), of normalised features. :meth:`fit` trains it.

    Args:
        about (ModelInfo): The model.
        **kwargs: See :class:`SimilarityHead`.
    """

    def __init__(self, about: ModelInfo, **kwargs):
        super().__init__(about, **kwargs)
        size, count = about.image_tower.embed_dim, len(about.classes)
        self.weight = nn.Parameter(torch.zeros(count, size))
        self.bias = nn.Parameter(torch.empty(count).uniform_(-(size**-0.5), size**-0.5))
        self.alpha = nn.Parameter(torch.zeros(count))

    def transfer(self, old: Sequence[str]) -> set[str]:
        raise ValueError(
            f'transfer=True cannot carry LP++ to other classes: its {len(old)} rows belong to '
            'the old ones. Fit a new one.'
        )

    def forward(self, match: Match) -> torch.Tensor:
        image, cosines = parts(match)
        return F.linear(image, self.weight, self.bias) + self.alpha * cosines

    def check(self, images: int, views: int, fit: dict, search: dict) -> None:
        for name in ('epochs', 'period'):
            check_least(f'train_cfg.fit.{name}', fit.get(name, 1), 1)
        check_weight('train_cfg.fit.momentum', fit.get('momentum', 0))

    def chooses(self, fit: dict) -> bool:
        return True

    def fit(
        self, space: FeatureSpace, epochs: int = 300, period: int = 10, momentum: float = 0.9
    ) -> Found:
        """Train on the whole support set at once; keep the best epoch.

        Args:
            space (FeatureSpace): The authors use one augmented view.
            epochs (int): Steps of W and b.
            period (int): alpha takes a step once in so many epochs.
            momentum (float): Of W and b.

        Returns:
            Found: Accuracy on the validation images after each epoch; the last of the best
            is kept.
        """
        val, rates = space.val(), self.start(space.support)
        scores, kept = [], {}
        for _ in self.descend(space.support, rates, epochs, period, momentum):
            with torch.no_grad():
                scores.append(percent(self(val.match), val.labels))
            if scores[-1] >= max(scores):
                kept, epoch = {n: t.clone() for n, t in self.state_dict().items()}, len(scores)
        self.load_state_dict(kept)
        return Found(dict(epoch=epoch), torch.stack(scores))

    @torch.no_grad()
    def start(self, support: Labelled) -> tuple[float, float]:
        """Set the start values; return the rates of W and of alpha.

        W starts at the sum of each class's features, alpha at 250 times the
        mean, over classes, of the features' mean cosine with their own text.
        The rates are 4 N over the largest eigenvalue of X'X, and N over 4 times
        the largest sum, over classes, of squared cosines.
        """
        (image, cosines), labels = parts(support.match), support.labels
        self.weight.copy_(class_sums(image, labels, len(self.bias)))
        self.alpha.fill_(250 * float(class_cosines(cosines, labels).mean()))
        largest = torch.linalg.eigvalsh(image.t() @ image)[-1]
        steepest = cosines.square().sum(0).max()
        return 4 * len(labels) / float(largest), len(labels) / (4 * float(steepest))

    @torch.enable_grad()
    def descend(
        self,
        support: Labelled,
        rates: tuple[float, float],
        epochs: int,
        period: int,
        momentum: float,
    ) -> Iterator[torch.Tensor]:
        """Train; gives the loss of each epoch, after its update.

        As in the authors' code the gradient of alpha is summed over all epochs
        so far, and never cleared.
        """
        (image, cosines), labels = parts(support.match), support.labels
        learnt = torch.optim.SGD([self.weight, self.bias], lr=rates[0], momentum=momentum)
        self.alpha.grad = None
        for epoch in range(1, epochs + 1):
            logits = F.linear(image, self.weight, self.bias) + self.alpha * cosines
            loss = F.cross_entropy(logits, labels)
            learnt.zero_grad()
            loss.backward()
            learnt.step()
            if epoch % period == 0:
                with torch.no_grad():
                    self.alpha -= rates[1] * self.alpha.grad
            yield loss.detach()
        self.zero_grad()


def parts(match: Match) -> tuple[torch.Tensor, torch.Tensor]:
    """Normalised features (B, E), and their cosines with the text (B, C)."""
    image = F.normalize(match.image, dim=-1)
    return image, image @ F.normalize(match.text, dim=-1).t()


def class_cosines(cosines: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Mean cosine of each class's images with their own text, (C,)."""
    own = cosines.gather(1, labels[:, None])
    counts = torch.bincount(labels, minlength=cosines.shape[1]).to(own)
    return class_sums(own, labels, cosines.shape[1])[:, 0] / counts
