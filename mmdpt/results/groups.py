"""Which methods of a column are not distinguishable, from the predictions of their runs.

Unlike the rest of this package, it imports torch.
"""

import re
from collections.abc import Iterable, Sequence
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..evaluation.intervals import DRAWS, bootstrap_p, holm, letters, resampled
from ..evaluation.predictions import PREDICTIONS, TESTED, ZERO_SHOT, Predictions
from ..evaluation.protocols import predictions_file
from ..evaluation.random_effects import Prior, mean_squares, prior_of, random_effects
from ..utils.files import sha256_of
from ..utils.seal import read_plain
from .cells import Cell, by
from .few_shot_panels import Panel
from .row import Row, reference
from .tables import PARTS, SEVERAL, Table

ALPHA = 0.05
SHARES = ('accuracy', 'overall', *PARTS)  # what open-world and ood say of single images
HALF_OF = [('open-world', part) for part in PARTS]


class Outcome(NamedTuple):
    """What is kept of a run: a bit for each image, of several tests of the same images so many.

    Attributes:
        images: Their number.
        digest: Of their list.
        bits: Whether each was right, (tests, N), packed.
    """

    images: int
    digest: str
    bits: np.ndarray

    def correct(self) -> np.ndarray:
        """(N,) from 0 to 1: in which share of the tests an image was right."""
        return np.unpackbits(self.bits, axis=1, count=self.images).mean(axis=0)


def add_groups(tables: Sequence[Table], warnings: list[str]) -> None:
    """Put letters into the cells of tables.

    Args:
        tables (Sequence[Table]): Their cells are changed.
        warnings (list[str]): Is added to, where cells get none.
    """
    known: dict[tuple[str, ...], Outcome | str] = {}
    for table in tables:
        for dataset, rows in by(table.rows, lambda row: row[0][:-1]).items():  # of base-to-new
            for place, column in enumerate(table.columns):
                cells = {labels[-1]: row[place] for labels, row in rows}
                title = ', '.join([table.title, *dataset, column])
                _column(title, cells, known, warnings)


def add_groups_to_panels(panels: Sequence[Panel], warnings: list[str]) -> None:
    """Put letters into the cells with the largest number of shots of each dataset's panel.

    Args:
        panels (Sequence[Panel]): Their cells are changed.
        warnings (list[str]): Is added to, where cells get none.
    """
    known: dict[tuple[str, ...], Outcome | str] = {}
    for panel in panels:
        most = max((shots for line in panel.lines.values() for shots in line), default=0)
        cells = {m: line[most] for m, line in panel.lines.items() if most in line}
        _column(f'{panel.title}, {most} shots', cells, known, warnings)


def _column(title: str, cells: dict[str, Cell], known: dict, warnings: list[str]) -> None:
    figures = {n: one for n, one in cells.items() if one.mean is not None and one.runs}
    mixed = any(len({(r.dataset, r.target) for r in one.runs}) > 1 for one in figures.values())
    if len(figures) < 2 or mixed:
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
    methods, seeds, _ = correct.shape
    means, values, prior = correct.mean(axis=(1, 2)), [], Prior()
    if seeds > 1:  # three say little of how far they deviate; those of all pairs, more
        squares = [mean_squares(correct[i].astype(float) - correct[j])[0] for i, j in pairs]
        prior = prior_of(squares, seeds - 1, (methods - 1) * (seeds - 1))
    for i, j in pairs:
        p, _ = random_effects(correct[i].astype(float) - correct[j], prior=prior)
        values.append(max(bootstrap_p(means[i] - means[j], found[:, i] - found[:, j]), p))
    different = np.zeros((len(correct),) * 2, bool)
    for (i, j), p in zip(pairs, holm(values)):
        different[i, j] = different[j, i] = p < ALPHA
    return different


def _outcome(row: Row, known: dict) -> Outcome | str:
    """Of a run, or why there is none."""
    key = (row.source, row.method, row.target)
    if key not in known:
        try:
            known[key] = _read(row)
        except (OSError, ValueError) as error:
            known[key] = str(error)
    return known[key]


def _read(row: Row) -> Outcome:
    """The outcome of a run's predictions.

    Raises:
        OSError, ValueError: If there are none, or they are not those of its results.
    """
    source = Path(row.source)
    written = read_plain(str(source)).get('files') or {}
    names = _names(row, written)
    if not names:
        raise ValueError('no predictions of its images are stored')
    found = [_checked(source, name, written.get(name)) for name in names]
    right = np.stack([one.correct().numpy() for one in found])
    digest = ' '.join(one.digest for one in found)
    if row.protocol == 'corruption':  # its severities
        digest += ' '.join(name.removeprefix(source.stem) for name in names)
    if (row.protocol, row.target) in HALF_OF:
        base = found[0].labels.numpy() < (len(found[0].classes) + 1) // 2
        right = right[:, base if row.target == 'base' else ~base]
    if row.accuracy is None or abs(100 * right.mean() - row.accuracy) > 1e-3:
        raise ValueError(
            f'{source.with_name(names[0])} does not give the accuracy in {source.name}'
        )
    return Outcome(right.shape[1], digest, np.packbits(right, axis=1))


def _checked(source: Path, name: str, digest: str | None) -> Predictions:
    """The predictions in one file beside the results.

    Raises:
        OSError, ValueError: If it is not there, or not what the results name.
    """
    path = source.with_name(name)
    if not path.is_file():
        raise ValueError(f'{path} is not there')
    if digest != sha256_of(str(path)).hexdigest():
        raise ValueError(f'{path} is not what {source.name} names: it was changed')
    return Predictions.read(str(path))


def _names(row: Row, written: Iterable[str]) -> list[str]:
    """The files that a row's accuracy comes from; none where it is of another kind.

    Args:
        row (Row): The row.
        written (Iterable[str]): The files that its results name.
    """
    if row.method in ('linear_probe', 'raw_pixels'):
        return []
    if row.protocol == 'few-shot':
        zero_shot = TESTED if TESTED in written else ZERO_SHOT  # of a sweep's evaluation
        return [zero_shot if reference(row.method) == 0 else PREDICTIONS]
    source = Path(row.source).name
    if row.protocol == 'corruption':
        form = re.escape(predictions_file(source, row.target).removesuffix('.npz')) + r'_\d\.npz'
        return sorted(name for name in written if re.fullmatch(form, name))
    if row.protocol in SEVERAL:
        return [predictions_file(source, 'all')] if row.target in SHARES else []
    return [predictions_file(source, row.target)]
