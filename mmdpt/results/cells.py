"""Means over seeds and over datasets that hide nothing."""

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from statistics import fmean, stdev
from string import ascii_letters

from ..utils.intervals import half_width
from .row import Row

# What is wrong with a cell, in the order of the marks.
MARKS = {
    '*': 'seeds are missing',
    '†': 'runs failed, or are not finished',
    '‡': 'runs of different draws, versions, commits or CLIP weights, or figures that differ but '
    'should be equal',
    '§': 'the average lacks datasets',
    '¶': 'a choice of the training was made on test images: no figure of unseen images',
}
LETTERS = (
    'Letters: methods of one column that share a letter are not distinguishable (paired bootstrap '
    'and moderated t over images and seeds, Holm over all pairs of the column, 5 %).'
)


@dataclass
class Cell:
    """One figure of a table.

    Attributes:
        values: Accuracy in per cent of each seed (None for zero-shot).
        mean: Over the seeds; None if there is nothing to average, or figures
            that should be equal differ.
        std: Sample standard deviation over the seeds (divisor n - 1); None
            for fewer than two.
        marks: Out of ``MARKS``.
        text: Instead of the mean, where there is none.
        part: Of an average that lacks datasets, how many it has: '2 of 3'.
        runs: What it is made of.
        letters: Shared with the methods that are not distinguishable from this one; see
            :func:`add_groups`.
    """

    values: dict[int | None, float] = field(default_factory=dict)
    mean: float | None = None
    std: float | None = None
    marks: set = field(default_factory=set)
    text: str = '—'
    part: str = ''
    runs: list[Row] = field(default_factory=list)
    letters: str = ''

    @property
    def n(self) -> int:
        """Number of seeds."""
        return len(self.values)

    @property
    def interval(self) -> float | None:
        """Half the width of the mean's 95 % interval over the seeds."""
        return None if self.std is None else half_width(self.std, self.n)


def spelt(letters: str) -> str:
    """Letters as tables show them: four and more in a row as ``a-d``."""
    count = len(ascii_letters)
    runs: list[list[str]] = []
    last = None
    for one in re.findall("[a-zA-Z]'*", letters):  # with a prime for each round
        number = ascii_letters.index(one[0]) + count * (len(one) - 1)
        if last is None or number != last + 1:
            runs.append([])
        runs[-1].append(one)
        last = number
    return ''.join(f'{r[0]}-{r[-1]}' if len(r) > 3 else ''.join(r) for r in runs)


def by(items: Sequence, key: Callable) -> dict:
    """Items grouped by a key, in order of first appearance."""
    groups = defaultdict(list)
    for item in items:
        groups[key(item)].append(item)
    return dict(groups)


def spread(values: Collection[float]) -> float | None:
    """Sample standard deviation; None for fewer than two values."""
    return stdev(values) if len(values) > 1 else None


def cell(rows: Sequence[Row], doubtful: Sequence[tuple] = ()) -> Cell:
    """Mean and standard deviation of one experiment over its seeds.

    Args:
        rows (Sequence[Row]): They differ in their seed only.
        doubtful (Sequence[tuple]): Draws that exist twice, see
            :func:`draw_of`.
    """
    good = [row for row in rows if row.status == 'ok']
    marks = set()
    if any(row.status == 'missing' for row in rows):
        marks.add('*')
    if any(row.status in ('unfinished', 'damaged') for row in rows):
        marks.add('†')
    if len({row.code for row in good}) > 1 or any(draw_of(row) in doubtful for row in good):
        marks.add('‡')
    if any(row.chosen_on_test for row in good):
        marks.add('¶')
    if not good:
        return Cell(marks=marks, text='failed' if '†' in marks else '—', runs=list(rows))
    values = {row.seed: row.accuracy for row in good if row.accuracy is not None}
    if len(values) < len(good):  # a reference that should be one figure
        found = sorted(row.accuracy for row in good if row.accuracy is not None)
        return Cell(marks=marks | {'‡'}, text=f'{found[0]:.2f} to {found[-1]:.2f}', runs=list(rows))
    return Cell(values, fmean(values.values()), spread(values.values()), marks, runs=list(rows))


def average(cells: dict[str, Cell]) -> Cell:
    """Average over datasets, marked if any is missing.

    The standard deviation is that of the seeds' averages; it is given only if
    all datasets have the same seeds.

    Args:
        cells (dict[str, Cell]): By dataset; without a mean where missing.
    """
    have = [one for one in cells.values() if one.mean is not None]
    marks = set().union(*(one.marks for one in cells.values()))
    runs = [row for one in cells.values() for row in one.runs]
    if len({row.code for row in runs if row.status == 'ok'}) > 1:
        marks.add('‡')
    if not have:
        return Cell(marks=marks, runs=runs)
    mean, whole = fmean(one.mean for one in have if one.mean is not None), len(have) == len(cells)
    values = {}
    if whole and len({frozenset(one.values) for one in have}) == 1:
        values = {seed: fmean(one.values[seed] for one in have) for seed in have[0].values}
    part = '' if whole else f'{len(have)} of {len(cells)}'
    return Cell(
        values,
        mean,
        spread(values.values()),
        marks | (set() if whole else {'§'}),
        part=part,
        runs=runs,
    )


def draw_of(row: Row) -> tuple:
    """What determines a few-shot draw."""
    return row.dataset, row.subset, row.shots, row.seed, row.data


def doubtful_draws(rows: Sequence[Row], warnings: list[str]) -> set:
    """Find draws that should be the same but are not.

    Args:
        rows (Sequence[Row]): Of all methods and protocols.
        warnings (list[str]): Is added to.

    Returns:
        set[tuple]: See :func:`draw_of`.
    """
    drawn = [row for row in rows if row.status == 'ok' and row.shots != 0]
    found = set()
    for draw, same in by(drawn, draw_of).items():
        hashes = by(same, lambda row: row.draw_hash)
        if len(hashes) > 1:
            dataset, subset, shots, seed, _ = draw
            told = ', '.join(
                f'{h[:12] or "no hash"} in {group[0].source}' for h, group in hashes.items()
            )
            warnings.append(
                f'{dataset}, {subset} classes, {shots} shots, seed {seed}: runs of '
                f'different draws: {told}'
            )
            found.add(draw)
    return found


def mixed_code(rows: Sequence[Row], names: str) -> str | None:
    """A warning if the runs of one cell are of different code."""
    good = [row for row in rows if row.status == 'ok']
    codes = by(good, lambda row: row.code)
    if len(codes) < 2:
        return None
    told = '; '.join(
        f'{group[0].source}: {", ".join(filter(None, code))}' for code, group in codes.items()
    )
    return f'{names}: runs of different versions, commits or CLIP weights: {told}'
