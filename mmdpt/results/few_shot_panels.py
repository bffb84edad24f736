"""What the figure of few-shot papers shows: accuracy over shots, one panel per dataset."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from .cells import MARKS, Cell, average
from .row import Row
from .tables import AVERAGE, grid, method_order, namer, unique


@dataclass
class Panel:
    """The points of one panel.

    Attributes:
        title: The dataset's name, or 'Average'.
        lines: By method, by number of shots: a cell that has a mean.
        stars: Zero-shot accuracies; two where runs disagree.
    """

    title: str
    lines: dict[str, dict[int, Cell]] = field(default_factory=dict)
    stars: dict[str, list[float]] = field(default_factory=dict)


def panels(
    rows: Sequence[Row], methods: Sequence[str] | None = None, datasets: Sequence[str] | None = None
) -> tuple[list[Panel], list[str]]:
    """Compute what is drawn.

    Args:
        rows (Sequence[Row]): Of :func:`collect` or :func:`read_csv`.
        methods (Sequence[str], optional): Which, in which order. Defaults to
            all.
        datasets (Sequence[str], optional): The same for datasets.

    Returns:
        tuple[list[Panel], list[str]]: The average first where there are
        several datasets, and what is left out and why.

    Raises:
        ValueError: If a method or a dataset has no runs, or there are none.
    """
    rows = [  # other conditions are another line
        replace(row, method=f'{row.method}, {row.data}') if row.data else row
        for row in rows
        if row.protocol == 'few-shot'
        and row.subset == 'all'
        and row.placed
        and row.shots is not None
    ]
    name = namer(rows)
    cells = grid(rows, name)
    left_out: list[str] = []
    methods = _chosen('method', methods, method_order(rows, name))
    datasets = _chosen('dataset', datasets, unique(row.dataset for row in rows))
    found = [
        _panel(d, {k: c for k, c in cells.items() if k[1] == d}, methods, left_out)
        for d in datasets
    ]
    if len(datasets) > 1:
        found.insert(0, _panel(AVERAGE, _averages(cells, methods, datasets, left_out), methods, []))
    if not any(panel.lines or panel.stars for panel in found):
        raise ValueError(
            'none of these runs has a result of the few-shot protocol with a number '
            'of shots: nothing to draw'
        )
    return found, left_out


def _chosen(kind, wanted, known):
    unknown = [name for name in wanted or () if name not in known]
    if unknown:
        raise ValueError(
            f'no run of the {kind} {unknown[0]!r}: there is {", ".join(known) or "nothing"}'
        )
    return list(wanted or known)


def _panel(title, cells, methods, left_out):
    panel = Panel(title)
    for (method, _, shots), one in sorted(cells.items(), key=lambda item: item[0][2]):
        if method not in methods:
            continue
        if one.marks:
            left_out.append(f'{title}, {method}, {shots} shots: {_wrong(one)}')
        if shots == 0:
            panel.stars[method] = sorted({r.accuracy for r in one.runs if r.status == 'ok'})
        elif one.mean is not None:
            panel.lines.setdefault(method, {})[shots] = one
    return panel


def _averages(cells, methods, datasets, left_out):
    """Keep only points that all datasets have: others would not be comparable."""
    found = {}
    for method, shots in unique((m, k) for m, _, k in cells if m in methods):
        parts = {d: cells.get((method, d, shots), Cell()) for d in datasets}
        lacking = [d for d, one in parts.items() if one.mean is None]
        if lacking:
            left_out.append(
                f'{AVERAGE}, {method}, {shots} shots: left out, without a result on '
                f'{", ".join(lacking)}'
            )
            continue
        one = average(parts)
        found[method, AVERAGE, shots] = one
        if shots == 0:
            one.runs = [Row(accuracy=one.mean)]
    return found


def _wrong(one):
    good = sorted(str(row.seed) for row in one.runs if row.status == 'ok')
    lacking = sorted(str(row.seed) for row in one.runs if row.status != 'ok')
    if one.mean is None and not good:
        return f'left out, no finished run (seeds {", ".join(lacking)})'
    if one.mean is None:
        return f'left out, {one.text} in runs of one draw'
    if lacking:
        return f'drawn from seeds {", ".join(good)} only, without {", ".join(lacking)}'
    if '¶' in one.marks:
        return f'drawn, but {MARKS["¶"]}'
    return 'drawn from runs of different code, draws or CLIP weights'
