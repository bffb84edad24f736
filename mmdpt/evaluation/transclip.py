"""TransCLIP: all test images are classified together.

`Boosting Vision-Language Models with Transduction <https://arxiv.org/abs/2406.01837>`_. Written
from the formulas; the authors' code is under the AGPL.
"""

import torch
import torch.nn.functional as F

GAMMAS = (0.002, 0.01, 0.02, 0.2)  # what few labelled images may weigh
AT_ONCE = 2**24  # numbers of a temporary array


class TransCLIP:
    """Assign images to classes by what they look like and what their neighbours are.

    Each class is a normal distribution around its mean, all with one diagonal
    covariance. In turn the images are assigned (:meth:`assign`) and the
    distributions estimated (:meth:`estimate`).

    N images need about four arrays of (N, C) and two of (N, E), and 2 N^2 E operations for the
    neighbours; no array of (N, N) is ever whole. 50,000 images of 1,000 classes (E = 512) took
    0.8 GiB beside what was given, and with one thread on a busy machine 16 minutes.

    Args:
        features (Tensor): Of the images without labels, normalised, (N, E).
        probabilities (Tensor): What a model says of them, (N, C).
        support (Tensor, optional): Features of labelled images, (S, E).
        labels (Tensor, optional): Their labels, (S,).
        num_neighbours (int): Neighbours that each image is compared with.
        prior (float, optional): The power of ``probabilities``. Defaults to 1,
            with labelled images to 0.5.
        temperature (float): What the distributions' log-likelihood is divided by.
        as_published (bool): Mix up labelled and other images as the authors'
            code does: with labelled images, the rows of its affinities are in
            another order than those of its assignments. False: as in the paper.
        top (int): Without labelled images, the likeliest images that each
            class's first mean is made from.
        rounds (int): How often :meth:`run` estimates.
        inner (int): How often :meth:`assign` passes the assignments on to the
            neighbours.

    Attributes:
        assignments (Tensor): (N, C); each row adds up to 1.
        means (Tensor): Of the classes, normalised, (C, E).
        variances (Tensor): The diagonal, (E,).

    Raises:
        ValueError: If there are too few images to have neighbours.
    """

    def __init__(
        self,
        features: torch.Tensor,
        probabilities: torch.Tensor,
        support: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        num_neighbours: int = 3,
        prior: float | None = None,
        temperature: float = 50.0,
        as_published: bool = True,
        top: int = 8,
        rounds: int = 10,
        inner: int = 5,
    ):
        if len(features) <= num_neighbours:
            raise ValueError(
                f'TransCLIP compares each image with its {num_neighbours} nearest, but there are '
                f'{len(features)} images: give more of them.'
            )
        self.count, self.temperature = len(features), temperature
        self.rounds, self.inner = rounds, inner
        prior = (1.0 if support is None else 0.5) if prior is None else prior
        if support is None or labels is None:
            support, labels = features[:0], torch.zeros(0, dtype=torch.long)
            self.means = _likeliest(features, probabilities, min(top, len(features)))
        else:
            hot = F.one_hot(labels, probabilities.shape[1]).to(features)
            self.means = F.normalize(hot.T @ support, dim=-1)
        tiny = torch.finfo(features.dtype).tiny
        self.log_prior = prior * probabilities.clamp_min(tiny).log()
        hot = F.one_hot(labels.to(features.device), probabilities.shape[1]).to(features)
        self.states = torch.cat([probabilities, hot])  # (N + S, C)
        index, cosines = neighbours(torch.cat([support, features]), features, num_neighbours)
        self.rows = max(1, AT_ONCE // probabilities.shape[1])
        self.links = self._linked(index, cosines, as_published)
        self.centre = features.mean(dim=0)
        self.centred, self.support = features - self.centre, support - self.centre
        self.variances = torch.full_like(self.centre, 1 / len(self.centre))

    @property
    def assignments(self) -> torch.Tensor:
        return self.states[: self.count]

    def _linked(self, index: torch.Tensor, cosines: torch.Tensor, as_published: bool) -> list:
        """Sparse (rows, N + S), so that ``links @ states`` is the mean of the neighbours."""
        count, extra = self.count, len(index) - self.count
        row = torch.arange(len(index), device=index.device)[:, None].expand_as(index)
        # where a row of the affinities stands among the states
        state = row if as_published else (row - extra) % len(index)
        asking = state < count
        places = torch.cat(
            [
                torch.stack([index.flatten(), state.flatten()]),
                torch.stack([state[asking], index[asking]]),
            ],
            dim=1,
        )
        values = torch.cat([cosines.flatten(), cosines[asking]]) / (2 * index.shape[1])
        parts = []
        for start in range(0, count, self.rows):
            stop = min(start + self.rows, count)
            chosen = (places[0] >= start) & (places[0] < stop)
            at = places[:, chosen] - places.new_tensor([[start], [0]])
            size = (stop - start, len(index))
            links = torch.sparse_coo_tensor(at, values[chosen], size, check_invariants=False)
            parts.append(links.coalesce())
        return parts

    def assign(self) -> None:
        """Assign the images, several times with the neighbours' last assignments."""
        means, scaled = self.means - self.centre, (self.means - self.centre) / self.variances
        # up to a number per image, which does not matter
        offset = (means * scaled).sum(dim=1) / 2
        own = torch.addmm(-offset, self.centred, scaled.T).div_(self.temperature)
        own += self.log_prior
        fresh = torch.empty_like(own)
        for _ in range(self.inner):
            for part, links in enumerate(self.links):
                rows = slice(part * self.rows, part * self.rows + links.shape[0])
                fresh[rows] = (own[rows] + links @ self.states).softmax(dim=1)
            self.states[: self.count] = fresh

    def estimate(self, gamma: float = 0.0) -> None:
        """Estimate means and variances.

        Args:
            gamma (float): What the labelled images weigh.
        """
        labelled = len(self.support)
        weight = gamma * self.temperature / labelled if labelled else 0.0
        own, others = self.states[: self.count], self.states[self.count :]
        members = own.sum(dim=0) / self.count + weight * others.sum(dim=0)  # (C,)
        sums = own.T @ self.centred / self.count + weight * others.T @ self.support
        means = sums + members[:, None] * self.centre
        length = means.norm(dim=1, keepdim=True)
        tiny = torch.finfo(means.dtype).tiny
        # a class without members keeps its mean
        self.means = torch.where(length > 0, means / length.clamp_min(tiny), self.means)
        squares = (self.centred**2).sum(dim=0) / self.count
        squares = squares + weight * (self.support**2).sum(dim=0)
        means = self.means - self.centre
        spread = squares - 2 * (sums * means).sum(dim=0) + members @ means**2
        self.variances = (spread / members.sum()).clamp_min(tiny)

    def run(self, gamma: float = 0.0) -> torch.Tensor:
        """Assign and estimate in turn.

        Returns:
            Tensor: :attr:`assignments`.
        """
        for _ in range(self.rounds):
            self.assign()
            self.estimate(gamma)
        self.assign()
        return self.assignments

    def search(
        self, val_features: torch.Tensor, val_labels: torch.Tensor, gammas=GAMMAS
    ) -> tuple[torch.Tensor, float]:
        """Run with each weight of the labelled images, one after the other.

        A validation image takes the assignment of the nearest test image. As
        in the authors' code, each weight goes on from where the former ended.

        Args:
            val_features (Tensor): Normalised, (V, E).
            val_labels (Tensor): (V,).
            gammas (Sequence[float]): The weights.

        Returns:
            tuple: Assignments and accuracy (from 0 to 1) of the first weight that is best
            on the validation images.
        """
        nearest = neighbours(val_features, self.centred + self.centre, 1, drop=0)[0][:, 0]
        best, kept = -1.0, self.assignments
        for gamma in gammas:
            found = self.run(gamma)
            share = (found[nearest].argmax(dim=1) == val_labels).float().mean().item()
            if share > best:
                best, kept = share, found.clone()
        return kept, best


def neighbours(
    rows: torch.Tensor, features: torch.Tensor, count: int, drop: int = 1
) -> tuple[torch.Tensor, torch.Tensor]:
    """The nearest of ``features`` to each row, but for the ``drop`` nearest.

    Of an image of ``features`` that is itself; of any other it is the best neighbour, which the
    authors' code leaves out as well.

    Args:
        rows (Tensor): Normalised, (R, E).
        features (Tensor): Normalised, (N, E).

    Returns:
        tuple: Indices and cosines, (R, count), nearest first.
    """
    at_once = max(1, AT_ONCE // len(features))
    found = [(part @ features.T).topk(count + drop, dim=1) for part in rows.split(at_once)]
    index = torch.cat([part.indices[:, drop:] for part in found])
    return index, torch.cat([part.values[:, drop:] for part in found])


def _likeliest(features: torch.Tensor, probabilities: torch.Tensor, top: int) -> torch.Tensor:
    """First means: the likeliest images of each class, weighted by how likely they are."""
    weights, index = probabilities.topk(top, dim=0)  # (top, C)
    sums = torch.zeros(probabilities.shape[1], features.shape[1]).to(features)
    for weight, chosen in zip(weights, index):
        sums += weight[:, None] * features[chosen]
    return F.normalize(sums, dim=-1)
