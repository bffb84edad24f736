"""Which methods of a column are not distinguishable, from the predictions of their runs.

Unlike the rest of this package, it imports torch.
"""

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..evaluation.intervals import DRAWS, bootstrap_p, holm, letters, resampled
from ..evaluation.predictions import PREDICTIONS, ZERO_SHOT, Predictions
from ..utils.files import sha256_of
from ..utils.seal import read_plain
from .cells import Cell
from .row import Row, reference
from .tables import Table

ALPHA = 0.05


class Outcome(NamedTuple):
    """What is kept of a run: a bit for each image.

    Attributes:
        images: Their number.
        digest: Of their list.
        bits: Whether each was right, packed.
    """

    images: int
    digest: str
    bits: np.ndarray

    def correct(self) -> np.ndarray:
        """(N,) bool."""
        return np.unpackbits(self.bits, count=self.images).astype(bool)


def add_groups(tables: Sequence[Table], warnings: list[str]) -> None:
    """Put letters into the cells of tables.

    Args:
        tables (Sequence[Table]): Their cells are changed.
        warnings (list[str]): Is added to, where cells get none.
    """
    known: dict[tuple[str, str], Outcome | str] = {}
    for table in tables:
        for place, column in enumerate(table.columns):
            cells = {' '.join(labels): row[place] for labels, row in table.rows}
            _column(f'{table.title}, {column}', cells, known, warnings)


def _column(title: str, cells: dict[str, Cell], known: dict, warnings: list[str]) -> None:
    figures = {n: one for n, one in cells.items() if one.mean is not None and one.runs}
    if len(figures) < 2 or any(len({r.dataset for r in one.runs}) > 1 for one in figures.values()):
        return
    found: dict[str, dict[int | None, Outcome]] = {}
    for name, one in figures.items():
        outcomes = {row.seed: _outcome(row, known) for row in one.runs if row.status == 'ok'}
        reasons = sorted({reason for reason in outcomes.values() if isinstance(reason, str)})
        if reasons:
            warnings.append(f'no letters for {name} ({title}): {reasons[0]}')
        else:
            found[name] = {s: o for s, o in outcomes.items() if isinstance(o, Outcome)}
    digests = [o.digest for runs in found.values() for o in runs.values()]
    usual = max(digests, key=digests.count, default='')
    for name in [n for n, runs in found.items() if {o.digest for o in runs.values()} != {usual}]:
        warnings.append(f'no letters for {name} ({title}): it was tested on other images')
        del found[name]
    if len(found) > 1:
        order = sorted(found, key=lambda name: -float(figures[name].mean or 0.0))
        _letter(title, [figures[n] for n in order], [found[n] for n in order], warnings)


def _letter(
    title: str, cells: list[Cell], runs: list[dict[int | None, Outcome]], warnings: list[str]
) -> None:
    """Compare methods, the best one first, on the seeds that all have; zero-shot CLIP has none."""
    every = [set(one) for one in runs if set(one) != {None}] or [{None}]
    seeds = set.intersection(*every)
    if seeds != set.union(*every):
        told = ', '.join(str(s) for s in sorted(seeds, key=str)) or 'none'
        warnings.append(f'letters ({title}) are of the seeds that all methods have: {told}')
    if not seeds:
        return
    order = sorted(seeds, key=str)
    correct = np.stack([[_of(one, seed).correct() for seed in order] for one in runs])
    for cell, text in zip(cells, letters(different(correct))):
        cell.letters = text


def _of(runs: dict[int | None, Outcome], seed: int | None) -> Outcome:
    return runs[seed] if seed in runs else runs[None]


def different(correct: np.ndarray) -> np.ndarray:
    """Whether two methods differ, (M, M), from (M, seeds, images)."""
    pairs = list(combinations(range(len(correct)), 2))
    # Holm multiplies the least p-value by the pairs
    found = resampled(correct, max(DRAWS, 25 * len(pairs)))
    means = correct.mean(axis=(1, 2))
    values = [bootstrap_p(means[i] - means[j], found[:, i] - found[:, j]) for i, j in pairs]
    different = np.zeros((len(correct),) * 2, bool)
    for (i, j), p in zip(pairs, holm(values)):
        different[i, j] = different[j, i] = p < ALPHA
    return different


def _outcome(row: Row, known: dict) -> Outcome | str:
    """Of a run, or why there is none."""
    name = ZERO_SHOT if reference(row.method) == 0 else PREDICTIONS
    if row.protocol != 'few-shot' or row.method in ('linear_probe', 'raw_pixels'):
        return 'no predictions of its images are stored'
    key = (row.source, name)
    if key not in known:
        try:
            known[key] = _read(Path(row.source), name, row.accuracy)
        except (OSError, ValueError) as error:
            known[key] = str(error)
    return known[key]


def _read(source: Path, name: str, accuracy: float | None) -> Outcome:
    """The outcome of a run's predictions.

    Raises:
        OSError, ValueError: If there are none, or they are not those of its results.
    """
    path = source.with_name(name)
    if not path.is_file():
        raise ValueError(f'{path} is not there')
    written = (read_plain(str(source)).get('files') or {}).get(name)
    if written != sha256_of(str(path)).hexdigest():
        raise ValueError(f'{path} is not what {source.name} names: it was changed')
    found = Predictions.read(str(path))
    right = found.correct().numpy()
    if accuracy is None or abs(100 * right.mean() - accuracy) > 1e-3:
        raise ValueError(f'{path} does not give the accuracy in {source.name}')
    return Outcome(len(right), found.digest, np.packbits(right))
