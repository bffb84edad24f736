"""The figure of few-shot papers: accuracy over shots, one panel per dataset."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from .cells import MARKS, Cell, average
from .row import REFERENCES, Row, reference
from .tables import AVERAGE, grid, method_order, namer, unique

# Okabe and Ito, https://jfly.uni-koeln.de/color/; the yellow is too light for lines
COLOURS = ('#0072B2', '#D55E00', '#009E73', '#CC79A7', '#E69F00', '#56B4E9', '#000000')
STYLES = ('-', '--', '-.', (0, (1, 1)))
MARKERS = ('o', 's', '^', 'D', 'v', 'P', 'X')
PANEL = (2.3, 1.9)  # inches: three panels across a page


@dataclass
class Panel:
    """The points of one panel.

    Attributes:
        title: The dataset's name, or 'Average'.
        lines: By method: (shots, mean, standard deviation or 0) each.
        stars: Zero-shot accuracies; two where runs disagree.
    """

    title: str
    lines: dict[str, list[tuple[int, float, float]]] = field(default_factory=dict)
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
            panel.lines.setdefault(method, []).append((shots, one.mean, one.std or 0.0))
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
    if lacking:
        return f'drawn from seeds {", ".join(good)} only, without {", ".join(lacking)}'
    if '¶' in one.marks:
        return f'drawn, but {MARKS["¶"]}'
    return 'drawn from runs of different code, draws or CLIP weights'


def draw(found: Sequence[Panel], methods: Sequence[str] | None = None):
    """Draw the panels.

    Bands are one standard deviation to each side; a star at 0 is zero-shot.
    Colours are safe for the colour-blind; line styles and markers differ
    as well, for print in grey.

    Args:
        found (Sequence[Panel]): Of :func:`panels`.
        methods (Sequence[str], optional): Order of the legend. Defaults to
            that of the panels.

    Returns:
        matplotlib.figure.Figure: One legend below, panels at most three
        abreast.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = min(3, len(found))
    height = math.ceil(len(found) / columns)
    styles = _styles(methods or _methods(found))
    legend_rows = math.ceil(len(styles) / _legend_columns(columns))
    size = (PANEL[0] * columns + 0.3, PANEL[1] * height + 0.25 * legend_rows + 0.3)
    figure = Figure(size, layout='constrained')
    FigureCanvasAgg(figure)
    axes = figure.subplots(height, columns, squeeze=False).ravel()
    shots = sorted({k for panel in found for line in panel.lines.values() for k, _, _ in line})
    for panel, axis in zip(found, axes):
        _draw_panel(axis, panel, styles, shots)
    for i, axis in enumerate(axes):
        if i % columns == 0:
            axis.set_ylabel('Accuracy (%)', fontsize=8)
        if i + columns >= len(found):
            axis.set_xlabel('Training images per class', fontsize=8)
        if i >= len(found):
            axis.remove()
    _legend(figure, found, styles, columns)
    return figure


def _methods(found):
    return unique(m for panel in found for m in [*panel.stars, *panel.lines])


def _styles(methods):
    """Each method's colour, line and marker; references in grey."""
    styles, count = {}, 0
    for method in methods:
        style = reference(method.split(' ')[0])
        if style < len(REFERENCES):
            styles[method] = dict(color='#777777', linestyle=STYLES[style], marker=MARKERS[-style])
        else:
            styles[method] = dict(
                color=COLOURS[count % 7],
                linestyle=STYLES[count % 4],
                marker=MARKERS[(count + count // 28) % 7],
            )
            count += 1
    return styles


def _draw_panel(axis, panel, styles, shots):
    place = {k: i + 1 for i, k in enumerate(shots)}  # evenly spaced; 0 is zero-shot
    for method, points in panel.lines.items():
        x = [place[k] for k, _, _ in points]
        mean, std = [m for _, m, _ in points], [s for _, _, s in points]
        style = styles[method]
        axis.plot(x, mean, label=method, linewidth=1.2, markersize=3.5, **style)
        axis.fill_between(
            x,
            [m - s for m, s in zip(mean, std)],
            [m + s for m, s in zip(mean, std)],
            color=style['color'],
            alpha=0.15,
            linewidth=0,
        )
    for method, values in panel.stars.items():
        axis.plot(
            [0] * len(values),
            values,
            '*',
            label=method,
            markersize=8,
            clip_on=False,
            color=styles[method]['color'],
        )
    stars = any(panel.stars.values())
    axis.set_title(panel.title, fontsize=8, weight='bold' if panel.title == AVERAGE else 'normal')
    axis.set_xticks(
        [*([0] if stars else []), *place.values()], [*(['0'] if stars else []), *map(str, place)]
    )
    axis.tick_params(labelsize=7)
    axis.grid(alpha=0.3, linewidth=0.5)
    axis.spines[['top', 'right']].set_visible(False)


def _legend(figure, found, styles, columns):
    handles = {}
    for axis in figure.axes:
        handles |= dict(zip(*reversed(axis.get_legend_handles_labels())))
    names = [method for method in styles if method in handles]
    figure.legend(
        [handles[name] for name in names],
        [name.replace('_', ' ') for name in names],
        loc='outside lower center',
        ncols=min(_legend_columns(columns), len(names)),
        fontsize=7,
        frameon=False,
    )


def _legend_columns(columns):
    return 2 * columns
