"""Figures as SVG that takes its colours from the page, light or dark.

Matplotlib without pyplot's global state. Text stays text, so that it can be read out and found.
"""

import io
import re
from collections.abc import Sequence

from markupsafe import Markup, escape
from matplotlib import rc_context
from matplotlib.figure import Figure

from mmdpt.utils.text import visible

from .content import Accuracy, Calibration, LearningCurve

WIDTH = 5.0  # inches
# Stand-ins, each for what the page says; none is used for anything else.
COLOURS = {'#010203': 'currentColor', '#040506': 'var(--accent)', '#070809': 'var(--muted)'}
INK, ACCENT, MUTED = COLOURS
LONGEST = 28  # letters of a name


def accuracy_figure(accuracies: Sequence[Accuracy]) -> Markup | None:
    """Accuracies as dots with their intervals; None if there is only one."""
    known = [a for a in accuracies if a.percent is not None][::-1]
    if len(known) < 2:
        return None
    figure, axes = _axes(0.75 + 0.34 * len(known))
    for row, a in enumerate(known):
        colour = ACCENT if a.role == 'model' else INK
        hollow = 'none' if a.measured_on else colour
        if a.low is not None and a.high is not None:
            axes.plot([a.low, a.high], [row, row], color=colour, linewidth=2)
        axes.plot(a.percent, row, 'o', color=colour, markersize=6, markerfacecolor=hollow)
        if row and known[row - 1].measured_on != a.measured_on:
            axes.axhline(row - 0.5, color=MUTED, linewidth=0.8)
    axes.set_yticks(range(len(known)), [_short(a.name) for a in known], parse_math=False)
    axes.set(ylim=(-0.6, len(known) - 0.4), xlabel='accuracy (%), 95 % interval')
    axes.grid(axis='x', color=MUTED, linewidth=0.4, alpha=0.5)
    return _svg(figure, 'Accuracy of each classifier with its 95 % interval; figures in the table')


def calibration_figure(calibration: Calibration) -> Markup:
    """How often predictions of a probability are right, and how many there are."""
    figure = Figure(figsize=(WIDTH, 3.6), layout='constrained')
    top, below = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    bins = [b for b in calibration.bins if b.images]
    top.plot([0, 100], [0, 100], color=MUTED, linewidth=1, linestyle='--')
    top.plot(
        [100 * b.confidence for b in bins],
        [100 * b.accuracy for b in bins],
        'o-',
        color=ACCENT,
        markersize=4,
    )
    top.set(ylim=(-3, 103), ylabel='right (%)')
    middles = [50 * (b.low + b.high) for b in bins]
    widths = [92 * (b.high - b.low) for b in bins]
    below.bar(middles, [b.images for b in bins], widths, color=ACCENT)
    below.set(xlim=(0, 100), xlabel='probability of the prediction (%)', ylabel='photos')
    for axes in (top, below):
        _style(axes)
    return _svg(figure, 'Share of right predictions by their probability; figures in the table')


def learning_figure(curve: LearningCurve) -> Markup | None:
    """Accuracy over training photos; None without points."""
    if not curve.points:
        return None
    figure, axes = _axes(2.6)
    x, y = [p.images for p in curve.points], [p.percent for p in curve.points]
    for point in curve.points:
        if point.low is not None and point.high is not None:
            axes.plot([point.images] * 2, [point.low, point.high], color=ACCENT, linewidth=2)
    axes.plot(x, y, 'o-', color=ACCENT, markersize=5)
    axes.set(xlabel='training photos', ylabel='accuracy (%)', xlim=(0, 1.05 * max(x)))
    return _svg(figure, 'Accuracy over the number of training photos; figures in the table')


def _axes(height: float):
    figure = Figure(figsize=(WIDTH, height), layout='constrained')
    axes = figure.subplots()
    _style(axes)
    return figure, axes


def _style(axes) -> None:
    axes.set_facecolor('none')
    axes.spines[['top', 'right']].set_visible(False)
    axes.spines[['left', 'bottom']].set_color(MUTED)
    axes.tick_params(color=MUTED, labelcolor=INK, labelsize=9)
    for label in (axes.xaxis.label, axes.yaxis.label):
        label.set(color=INK, fontsize=9)


def _svg(figure: Figure, title: str) -> Markup:
    """An element for HTML, as wide as its place."""
    figure.patch.set_alpha(0)
    buffer = io.StringIO()
    with rc_context({'svg.fonttype': 'none', 'svg.hashsalt': title}):
        figure.savefig(buffer, format='svg', metadata=dict(Date=None, Creator=None))
    text = buffer.getvalue()
    text = text[text.index('<svg') :]
    text = re.sub(r'<metadata>.*?</metadata>', '', text, flags=re.DOTALL)
    text = re.sub(r' (width|height)="[\d.]+pt"', '', text, count=2)
    text = text.replace('<svg', f'<svg role="img" aria-label="{escape(title)}"', 1)
    for stand_in, colour in COLOURS.items():
        text = text.replace(stand_in, colour)
    return Markup(text)


def _short(name: str) -> str:
    name = visible(name)
    return name if len(name) <= LONGEST else f'{name[: LONGEST - 1]}…'
