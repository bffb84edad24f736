"""Our figures beside published ones, and which of these our interval does not hold."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from .cells import Cell, average, cell
from .row import REFERENCES, Row, reference

AVERAGE = 'Average'
FEWEST = 2  # seeds of an interval


class Published(Protocol):
    """A published accuracy; see :class:`mmdpt.sweep.published.figures.Figure`."""

    @property
    def target(self) -> str: ...
    @property
    def shots(self) -> int: ...
    @property
    def accuracy(self) -> float: ...
    @property
    def source(self) -> str: ...


class Line(NamedTuple):
    """A comparison.

    Attributes:
        dataset: Its name, or 'Average'.
        target: 'base', 'new' or ''.
        shots: Training images per class.
        ours: Mean over seeds in per cent; None without a finished run.
        half: Half the width of its 95 % interval; None with fewer than two seeds.
        seeds: How many.
        published: In per cent; None where none was found.
        source: Of the published one.
        marks: Of the cell, see :data:`mmdpt.results.cells.MARKS`.
    """

    dataset: str
    target: str
    shots: int
    ours: float | None
    half: float | None
    seeds: int
    published: float | None
    source: str
    marks: str

    @property
    def verdict(self) -> str:
        """Whether the published figure is inside our interval."""
        if self.published is None:
            return 'no published figure found'
        if self.ours is None:
            return 'no run of ours'
        if self.half is None:
            return 'no interval: fewer than two seeds'
        return 'OUTSIDE' if abs(self.ours - self.published) > self.half else 'inside'


def beside(
    rows: Sequence[Row],
    wanted: Sequence[tuple[str, str, int]],
    published: Mapping[tuple[str, str, int], Published],
) -> list[Line]:
    """Compare.

    Args:
        rows (Sequence[Row]): Of :func:`mmdpt.results.collect`, of one method.
        wanted (Sequence[tuple]): Dataset, target and shots of each line.
        published (Mapping): What is known, by the same.

    Returns:
        list[Line]: In the order of ``wanted``, and the averages where there are several datasets.
    """
    cells: dict[tuple[str, str, int], Cell] = {
        place: cell([row for row in rows if _of(row, place)]) for place in wanted
    }
    places = list(wanted)
    names = list(dict.fromkeys(dataset for dataset, _, _ in wanted))
    if len(names) > 1:
        for target, shots in dict.fromkeys((t, n) for _, t, n in wanted):
            places.append((AVERAGE, target, shots))
            cells[places[-1]] = average(
                {name: cells.get((name, target, shots), Cell()) for name in names}
            )
    return [_line(place, cells[place], published.get(place)) for place in places]


def _of(row: Row, place: tuple[str, str, int]) -> bool:
    dataset, target, shots = place
    own = reference(row.method) == len(REFERENCES)
    protocol = 'base-to-new' if target else 'few-shot'
    found = (row.dataset.lower(), row.target, row.shots, row.protocol)
    return own and found == (dataset.lower(), target, shots, protocol)


def _line(place: tuple[str, str, int], one: Cell, known: Published | None) -> Line:
    whole = one.mean is not None and not one.part  # an average of all datasets, or none
    return Line(
        *place,
        ours=one.mean if whole else None,
        half=one.interval if whole and one.n >= FEWEST else None,
        seeds=one.n,
        published=known.accuracy if known else None,
        source=known.source if known else '',
        marks=''.join(sorted(one.marks)),
    )


def table(lines: Sequence[Line]) -> str:
    """The comparison as Markdown, with its sources below."""
    text = ['| dataset | | shots | ours | seeds | published | difference | |']
    text += ['|' + ':--|' * 2 + '--:|' * 5 + ':--|']
    sources = list(dict.fromkeys(line.source for line in lines if line.source))
    for line in lines:
        half = '' if line.half is None else f' ± {line.half:.2f}'
        ours = '—' if line.ours is None else f'{line.ours:.2f}{half}'
        known = (
            '—'
            if line.published is None
            else f'{line.published:g} [{sources.index(line.source) + 1}]'
        )
        gap = ''
        if line.ours is not None and line.published is not None:
            gap = f'{line.ours - line.published:+.2f}'
        cells = [line.dataset, line.target, line.shots, ours + line.marks, line.seeds, known, gap]
        text.append('| ' + ' | '.join(map(str, [*cells, line.verdict])) + ' |')
    text += [
        '',
        'Ours: mean over seeds ± half its 95 % interval (Student). A published figure is a',
    ]
    text += [
        'mean over seeds, too, with an interval that is not known: OUTSIDE says that ours does'
    ]
    text += ['not hold it, not that either is wrong.', '']
    text += [f'[{i}] {source}' for i, source in enumerate(sources, 1)]
    return '\n'.join(text) + '\n'
