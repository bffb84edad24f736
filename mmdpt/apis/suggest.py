"""Which unlabelled photos to label next: those that a model is unsure of, each of another kind.

Zhdanov, `Diverse mini-batch Active Learning <https://arxiv.org/abs/1901.05954>`_: of the pool, the
``FIRST * n`` most uncertain photos are divided into n clusters of similar ones by k-means on their
features, in which each photo weighs as much as it is uncertain; the photo nearest to each centre
is suggested. Uncertain is 1 - (p1 - p2), by the probabilities of the two likeliest classes, which
are calibrated if the checkpoint is.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from mmengine.dataset import Compose
from torch.utils.data import DataLoader

from ..evaluation.transductive import check_model, features_and_probabilities
from .inferencer import PromptInferencer
from .photos import Photos, collate

FIRST = 10  # times the wanted number are looked at: beta of the paper
ALIKE = 4  # decimals in which features of copies agree


class Suggestion(NamedTuple):
    """A photo to label.

    Attributes:
        path (str): Its file.
        name (str): The likeliest class.
        probability (float): Of it.
        second (str): The next one.
        second_probability (float): Of that.
        stands_for (int): Uncertain photos of its cluster, itself among them.
    """

    path: str
    name: str
    probability: float
    second: str
    second_probability: float
    stands_for: int

    @property
    def why(self) -> str:
        """What makes it worth a label, in words."""
        alike = f'; like {self.stands_for - 1} more' if self.stands_for > 1 else ''
        return (
            f'{self.name} {self.probability:.0%} or {self.second} {self.second_probability:.0%}'
            f'{alike}'
        )


class Suggested(NamedTuple):
    """What came of it.

    Attributes:
        photos (list[Suggestion]): The most uncertain first.
        unreadable (list[tuple[str, str]]): Files, and why.
        copies (int): Photos left out, as another one looks the same to the model.
    """

    photos: list[Suggestion]
    unreadable: list[tuple[str, str]]
    copies: int


def suggest(
    inferencer: PromptInferencer,
    paths: Sequence[str],
    count: int = 20,
    batch_size: int = 32,
    num_workers: int = 0,
) -> Suggested:
    """Choose photos to label next.

    Args:
        inferencer (PromptInferencer): A model of now, or zero-shot CLIP.
        paths (Sequence[str]): Unlabelled photos.
        count (int): Photos to choose; all, if there are no more.
        batch_size (int): Images per batch. Defaults to 32.
        num_workers (int): Processes that load images. Defaults to 0.

    Raises:
        ValueError: If the model gives no image features, or no photo can be read.
    """
    check_model(inferencer.model, 'suggest')
    photos = Photos(paths, Compose([inferencer.load, inferencer.pipeline]))
    loader = DataLoader(photos, batch_size, num_workers=num_workers, collate_fn=collate)
    temperature = inferencer.calibration.temperature if inferencer.calibration else 1.0
    told, parts = [], []
    for files, batch in loader:
        told += files
        if batch:
            parts.append(features_and_probabilities(inferencer.model, batch, temperature))
    if not parts:
        raise ValueError(f'none of the {len(told)} photos can be read: {told[0][1]}')
    features, probabilities = (torch.cat(part) for part in zip(*parts))
    read = [path for path, why in told if not why]
    # copies would be worth one label together
    _, kept = np.unique(features.numpy().round(ALIKE), axis=0, return_index=True)
    kept.sort()
    chosen = choose(features[kept], uncertainty(probabilities[kept]), count)
    found = []
    for i, size in chosen:
        (p1, p2), (c1, c2) = (part.tolist() for part in probabilities[kept[i]].topk(2))
        names = inferencer.classes
        found.append(Suggestion(read[kept[i]], names[c1], p1, names[c2], p2, size))
    return Suggested(found, [item for item in told if item[1]], len(read) - len(kept))


def uncertainty(probabilities: torch.Tensor) -> torch.Tensor:
    """1 - (p1 - p2) of probabilities (N, C) whose largest are p1 and p2, (N,)."""
    first = probabilities.topk(2, dim=1).values
    return 1 - (first[:, 0] - first[:, 1])


def choose(features: torch.Tensor, uncertain: torch.Tensor, count: int) -> list[tuple[int, int]]:
    """Uncertain rows that differ from each other.

    Args:
        features (Tensor): Normalised, (N, E), no two alike.
        uncertain (Tensor): (N,).
        count (int): Rows wanted.

    Returns:
        list: Row and size of its cluster, the most uncertain first.
    """
    from sklearn.cluster import KMeans

    rows = uncertain.topk(min(FIRST * count, len(uncertain))).indices.numpy()
    if len(rows) <= count:
        return [(int(row), 1) for row in rows]
    points, weights = features[rows].double().numpy(), uncertain[rows].double().numpy()
    means = KMeans(count, n_init=3, random_state=0).fit(points, sample_weight=weights + 1e-9)
    distances = means.transform(points)
    chosen = []
    for cluster, size in enumerate(np.bincount(means.labels_, minlength=count)):
        own = np.where(means.labels_ == cluster, distances[:, cluster], np.inf)
        if size:
            chosen.append((int(rows[own.argmin()]), int(size)))
    return sorted(chosen, key=lambda item: -float(uncertain[item[0]]))
