"""One figure per image: what was seen, what was attended to.

Matplotlib without its global state (pyplot), so that many figures can be made
in a training process; imported only when something is drawn.
"""

import math
from collections.abc import Sequence

import numpy as np

from .attention import ImageAttention, patch_map, shares

COLUMNS = 5  # class-aware maps per row
SIZE = 7.2  # inches, the text width of a paper
LONGEST = 18  # letters of a class name
BLUE, ORANGE = '#0072b2', '#d55e00'  # Okabe and Ito's, for the colour-blind
TEXT = dict(fontsize=7, parse_math=False)  # a $ in a name is a $


def draw_attention(
    image: np.ndarray,
    attention: ImageAttention,
    classes: Sequence[str],
    name: str = '',
    label: int | None = None,
):
    """Draw an image, the classes and where the model looks.

    Maps show the weight of each patch in percent of all attention; all maps
    of a row of the figure have one colour scale.

    Args:
        image (ndarray): What the network saw, RGB, uint8, (H, W, 3).
        attention (ImageAttention): Of that image.
        classes (Sequence[str]): The class names.
        name (str): What to call the image.
        label (int, optional): Its true class.

    Returns:
        matplotlib.figure.Figure: To save, or see :func:`to_array`.
    """
    from matplotlib.figure import Figure

    aware = attention.class_aware
    rows = 0 if aware is None else math.ceil(len(attention.class_ids) / COLUMNS)
    aspect = min(max(image.shape[0] / image.shape[1], 0.5), 2)
    heights = [0.8 + 1.4 * aspect, *[0.65 + 1.25 * aspect] * rows]
    figure = Figure(figsize=(SIZE, sum(heights) + 0.2), layout='constrained')
    figure.get_layout_engine().set(h_pad=0.06, w_pad=0.03)  # type: ignore
    parts = figure.subfigures(
        2 if rows else 1,
        1,
        squeeze=False,
        height_ratios=[heights[0], sum(heights[1:])] if rows else None,
    )[:, 0]
    _draw_top(parts[0], image, attention, classes, name, label)
    if rows:
        _draw_class_aware(parts[1], image, attention, classes, rows)
    return figure


def to_array(figure) -> np.ndarray:
    """A figure as RGB pixels, uint8, (H, W, 3)."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure.set_dpi(150)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.array(canvas.buffer_rgba())[..., :3]


def _draw_top(part, image, attention, classes, name, label) -> None:
    weights = [attention.frozen]
    titles = ['class token, last block']
    if attention.adapted is not None:
        weights.append(attention.adapted)
        titles = ['class token, last block,\nfrozen CLIP', 'class token, last block,\nadapted']
    axes = part.subplots(1, 2 + len(weights), width_ratios=[1, 1.15, *[1] * len(weights)])
    best = int(attention.probabilities.argmax())
    lines = [name] if name else []
    if label is not None:
        lines.append(f'label: {_short(classes[label])}')
    lines.append(f'predicted: {_short(classes[best])}')
    _show(axes[0], image)
    axes[0].set_title('\n'.join(map(_middle, lines)), loc='left', **TEXT)
    axes[0].set_xlabel(f'probability {_percent(attention.probabilities[best])}', **TEXT)
    _draw_classes(axes[1], attention, classes)
    _draw_maps(part, axes[2:], image, weights, titles, attention.grid, 'prompts')


def _draw_class_aware(part, image, attention, classes, rows) -> None:
    weights = attention.class_aware[-1]
    titles = [
        f'{rank}. {_short(classes[i])}' for i, rank in zip(attention.class_ids, attention.ranks)
    ]
    columns = min(len(weights), COLUMNS)
    axes = part.subplots(rows, COLUMNS, squeeze=False).flatten()
    for axis in axes[len(weights) :]:
        axis.set_axis_off()
    part.suptitle(
        'class-aware prompts, by zero-shot rank: attention of each '
        'over the tokens that enter its block',
        **TEXT,
    )
    _draw_maps(
        part,
        axes[: len(weights)],
        image,
        weights,
        titles,
        attention.grid,
        'learnt',
        all_axes=axes[: rows * columns],
    )


def _draw_classes(axis, attention, classes) -> None:
    """Bars: the model's probabilities; diamonds: frozen CLIP's."""
    ids, rows = attention.class_ids, np.arange(len(attention.class_ids))
    axis.barh(rows, 100 * attention.probabilities[ids], 0.6, color=BLUE, label='adapted')
    axis.plot(
        100 * attention.zero_shot[ids],
        rows,
        'D',
        color=ORANGE,
        markersize=4,
        label='zero-shot',
        clip_on=False,
    )
    axis.set_yticks(
        rows, [f'{rank}. {_short(classes[i])}' for i, rank in zip(ids, attention.ranks)], **TEXT
    )
    axis.set(xlim=(0, 100), ylim=(len(rows) - 0.4, -0.6))
    axis.set_title('zero-shot rank, class', **TEXT)
    axis.set_xlabel('probability (%)', **TEXT)
    axis.tick_params(labelsize=7, length=2)
    axis.spines[['top', 'right']].set_visible(False)
    axis.legend(
        fontsize=6,
        frameon=False,
        loc='upper center',
        ncols=2,
        bbox_to_anchor=(0.4, -0.25),
        handlelength=1,
        columnspacing=1,
    )


def _draw_maps(part, axes, image, weights, titles, grid, learnt, all_axes=None) -> None:
    maps = [100 * patch_map(w, grid) for w in weights]
    top = max(m.max() for m in maps)
    for axis, values, weight, title in zip(axes, maps, weights, titles):
        # Pale and gray, so that bright image areas are not taken for attention.
        _show(axis, image.mean(-1), cmap='gray', vmin=-128, vmax=384)
        drawn = _show(
            axis,
            values,
            image.shape,
            cmap='viridis',
            vmin=0,
            vmax=top,
            alpha=0.65,
            interpolation='nearest',
        )
        axis.set_title(title, **TEXT)
        share = shares(weight, grid)
        lines = [f'class token {_percent(share["class_token"])}']
        if weight.size > 1 + grid[0] * grid[1]:
            lines.append(f'{learnt} {_percent(share["learnt"])}')
        axis.set_xlabel('\n'.join(lines), **TEXT)
    bar = part.colorbar(
        drawn, ax=axes if all_axes is None else all_axes, fraction=0.03, pad=0.01, aspect=25
    )
    bar.set_label('attention per patch (%)', **TEXT)
    bar.ax.set_facecolor('0.5')  # under the same transparency
    bar.ax.tick_params(labelsize=6, length=2)


def _show(axis, values, shape=None, **options):
    """Draw in the image's own pixels: row 0 on top, nothing stretched."""
    height, width = (values if shape is None else np.empty(shape)).shape[:2]
    axis.set(xticks=[], yticks=[])
    return axis.imshow(
        values, extent=(0, width, height, 0), origin='upper', aspect='equal', **options
    )


def _percent(share) -> str:
    if share < 0.0005:
        return '<0.1 %'
    return f'{100 * share:.0f} %' if share >= 0.0995 else f'{100 * share:.1f} %'


def _short(name: str) -> str:
    return name if len(name) <= LONGEST else f'{name[: LONGEST - 1]}…'


def _middle(name: str) -> str:
    """Long file names keep both ends."""
    return name if len(name) <= 29 else f'{name[:13]}…{name[-15:]}'
