"""The figure of few-shot papers: accuracy over shots, one panel per dataset."""

import math
from collections.abc import Sequence
from textwrap import fill

from .cells import LETTERS, spelt
from .few_shot_panels import Panel
from .row import REFERENCES, reference
from .tables import AVERAGE, unique

# Okabe and Ito, https://jfly.uni-koeln.de/color/; the yellow is too light for lines
COLOURS = ('#0072B2', '#D55E00', '#009E73', '#CC79A7', '#E69F00', '#56B4E9', '#000000')
STYLES = ('-', '--', '-.', (0, (1, 1)))
MARKERS = ('o', 's', '^', 'D', 'v', 'P', 'X')
PANEL = (2.3, 1.9)  # inches: three panels across a page
LETTER_GAP = 0.07  # between lines of text, of a panel's height


def draw(found: Sequence[Panel], methods: Sequence[str] | None = None, intervals: bool = False):
    """Draw the panels.

    A star at 0 is zero-shot. Colours are safe for the colour-blind; line
    styles and markers differ as well, for print in grey. Letters of cells
    stand at the right, for the largest number of shots.

    Args:
        found (Sequence[Panel]): Of :func:`panels`.
        methods (Sequence[str], optional): Order of the legend. Defaults to
            that of the panels.
        intervals (bool): Bands are the 95 % intervals of the means (Student's
            t) instead of one standard deviation to each side.

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
    shots = sorted({k for panel in found for line in panel.lines.values() for k in line})
    for panel, axis in zip(found, axes):
        _draw_panel(axis, panel, styles, shots, intervals)
        _letter_panel(axis, panel, styles)
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


def _draw_panel(axis, panel, styles, shots, intervals):
    place = {k: i + 1 for i, k in enumerate(shots)}  # evenly spaced; 0 is zero-shot
    for method, cells in panel.lines.items():
        x, style = [place[k] for k in cells], styles[method]
        mean = [one.mean for one in cells.values()]
        half = [(one.interval if intervals else one.std) or 0.0 for one in cells.values()]
        axis.plot(x, mean, label=method, linewidth=1.2, markersize=3.5, **style)
        axis.fill_between(
            x,
            [m - h for m, h in zip(mean, half)],
            [m + h for m, h in zip(mean, half)],
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


def _letter_panel(axis, panel, styles):
    """Letters beside the panel, at the heights of the means but not upon each other."""
    lines = {m: cells[max(cells)] for m, cells in panel.lines.items()}
    order = sorted((m for m in lines if lines[m].letters), key=lambda m: lines[m].mean)
    low, high = axis.get_ylim()
    heights: list[float] = []
    for method in order:
        lowest = heights[-1] + LETTER_GAP if heights else 0.0
        heights.append(max((lines[method].mean - low) / (high - low), lowest))
    above = max(heights, default=0.0) - 1  # what does not fit goes down as a whole
    for method, height in zip(order, heights):
        axis.text(
            1.02,
            height - max(above, 0.0),
            f'{_shown(method)} {spelt(lines[method].letters)}',
            transform=axis.transAxes,
            color=styles[method]['color'],
            fontsize=6,
            verticalalignment='center',
        )


def _legend(figure, found, styles, columns):
    handles = {}
    for axis in figure.axes:
        handles |= dict(zip(*reversed(axis.get_legend_handles_labels())))
    names = [method for method in styles if method in handles]
    lettered = any(
        one.letters for panel in found for line in panel.lines.values() for one in line.values()
    )
    figure.legend(
        [handles[name] for name in names],
        [_shown(name) for name in names],
        loc='outside lower center',
        ncols=min(_legend_columns(columns), len(names)),
        fontsize=7,
        frameon=False,
        title=fill(LETTERS, 45 * columns) if lettered else None,
        title_fontsize=6,
    )


def _shown(method):
    return method.replace('_', ' ')


def _legend_columns(columns):
    return 2 * columns
