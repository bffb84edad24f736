"""Tables as Markdown, LaTeX and JSON, with what they are made of."""

from collections.abc import Sequence
from dataclasses import asdict

from ..utils.text import markdown as escaped
from ..utils.text import visible
from .cells import LETTERS, MARKS, Cell, by, draw_of, spelt
from .row import Row
from .tables import Table

AROUND = (
    'sample standard deviation (divisor n - 1)',
    "half of the mean's 95 % interval (Student's t)",
)
LATEX_MARKS = {'*': '*', '†': r'\dagger', '‡': r'\ddagger', '§': r'\S', '¶': r'\P'}
ESCAPES = {
    '\\': r'\textbackslash{}',
    '_': r'\_',
    '%': r'\%',
    '&': r'\&',
    '#': r'\#',
    '$': r'\$',
    '{': r'\{',
    '}': r'\}',
    '~': r'\textasciitilde{}',
    '^': r'\textasciicircum{}',
}


def usual_n(tables: Sequence[Table]) -> int:
    """The number of seeds of most cells; cells with another number show theirs."""
    counts = by([one.n for one in _cells(tables) if one.n and None not in one.values], int)
    return max(counts, key=lambda n: (len(counts[n]), n), default=0)


def cell_text(one: Cell, usual: int, interval: bool = False) -> str:
    """A cell as text, as in ``92.43 ± 0.55 (n=2)*``; the deviation, or half the interval."""
    marks = ''.join(mark for mark in MARKS if mark in one.marks)
    if one.mean is None:
        return one.text + marks
    around = one.interval if interval else one.std
    text = f'{one.mean:.2f}' + ('' if around is None else f' ± {around:.2f}')
    if one.part:
        text += f' ({one.part})'
    elif one.n and one.n != usual and None not in one.values:
        text += f' (n={one.n})'
    return text + marks + (f' {spelt(one.letters)}' if one.letters else '')


def legend(tables: Sequence[Table], interval: bool = False) -> list[str]:
    """What the figures and the marks in these tables mean."""
    used = set().union(*(one.marks for one in _cells(tables)))
    lines = [
        f'Top-1 accuracy in per cent: mean ± {AROUND[interval]} over '
        f'seeds, n = {usual_n(tables)} where not said otherwise; — means no run.'
    ]
    if any('H' in table.columns for table in tables):
        lines.append('H: harmonic mean of the averaged base and new accuracies.')
    if any(one.letters for one in _cells(tables)):
        lines.append(LETTERS)
    if any('AUROC' in column for table in tables for column in table.columns):
        lines.append('AUROC, FPR95, AUPR, OpenworldAUC: in per cent as well.')
    return lines + [f'{mark} {text}' for mark, text in MARKS.items() if mark in used]


def made_of(rows: Sequence[Row]) -> list[str]:
    """Versions, commits and CLIP weights of all finished runs."""
    lines = []
    for code, some in by([r for r in rows if r.status == 'ok'], lambda r: r.code).items():
        mmdpt, torch, mmengine, mmpretrain, commit, clip = (part or 'unknown' for part in code)
        lines.append(
            f'{len({row.source for row in some})} result files: mmdpt {mmdpt} (commit '
            f'{commit}), torch {torch}, mmengine {mmengine}, mmpretrain {mmpretrain}, '
            f'CLIP weights {clip}'
        )
    return lines


def draws(rows: Sequence[Row]) -> list[tuple]:
    """Dataset, subset, shots and conditions, seed and hash of all draws."""
    drawn = [row for row in rows if row.status == 'ok' and row.shots != 0]
    found = by(drawn, lambda row: (*draw_of(row), row.draw_hash or 'no hash'))
    return [
        (dataset, subset, _conditions(shots, data), seed, draw)
        for dataset, subset, shots, seed, data, draw in found
    ]


def _conditions(shots: int | None, data: str) -> str:
    if shots is None:
        return data or 'all'
    return f'{shots}, {data}' if data else str(shots)


def markdown(
    tables: Sequence[Table], rows: Sequence[Row], warnings: Sequence[str], interval: bool = False
) -> str:
    """All tables, the legend, the warnings and the provenance."""
    usual, lines = usual_n(tables), []
    for table in tables:
        lines += [f'### {escaped(table.title)}', '']
        body = [
            [*map(escaped, labels), *(cell_text(one, usual, interval) for one in cells)]
            for labels, cells in table.rows
        ]
        head = [*map(escaped, table.labels), *map(escaped, table.columns)]
        lines += _markdown_table(head, body, len(table.labels)) + ['']
    lines += [f'{line}  ' for line in legend(tables, interval)] + ['']
    lines += (
        ['### Warnings', '', *(f'- {escaped(line)}' for line in warnings), ''] if warnings else []
    )
    lines += ['### Made of', '', *(f'- {escaped(line)}' for line in made_of(rows)), '']
    lines += _markdown_table(
        ['Dataset', 'Classes', 'Shots', 'Seed', 'Draw'],
        [[escaped(part) for part in (*map(str, draw[:-1]), draw[-1][:16])] for draw in draws(rows)],
        5,
    )
    return '\n'.join(lines) + '\n'


def _markdown_table(head, body, labels):
    rule = [':--'] * labels + ['--:'] * (len(head) - labels)
    return ['| ' + ' | '.join(line) + ' |' for line in [head, rule, *body]]


def latex(
    tables: Sequence[Table], rows: Sequence[Row], warnings: Sequence[str], interval: bool = False
) -> str:
    """Table environments for the package booktabs; comments say the rest."""
    lines = ['% needs \\usepackage{booktabs}']
    lines += [f'% {visible(line)}' for line in [*warnings, *made_of(rows)]]
    lines += ['% draw: ' + ', '.join(map(str, draw)) for draw in draws(rows)]
    for table in tables:
        usual = usual_n([table])
        lines += [
            '',
            r'\begin{table}',
            r'\centering',
            rf'\caption{{{_caption(table, interval)}}}',
            rf'\begin{{tabular}}{{{"l" * len(table.labels)}{"r" * len(table.columns)}}}',
            r'\toprule',
            _latex_row([*table.labels, *table.columns]),
            r'\midrule',
        ]
        lines += [
            _latex_row([*labels, *(cell_text(one, usual, interval) for one in cells)])
            for labels, cells in table.rows
        ]
        lines += [r'\bottomrule', r'\end{tabular}', r'\end{table}']
    return '\n'.join(lines) + '\n'


def _caption(table, interval):
    return _escape(' '.join([f'{table.title}.', *legend([table], interval)]))


def _latex_row(parts):
    return ' & '.join(map(_escape, parts)) + r' \\'


def _escape(text):
    text = ''.join(ESCAPES.get(char, char) for char in text)
    for mark, symbol in LATEX_MARKS.items():
        text = text.replace(mark, f'$^{{{symbol}}}$')
    return text.replace('±', r'$\pm$').replace('—', '--')


def as_json(tables: Sequence[Table], rows: Sequence[Row], warnings: Sequence[str]) -> dict:
    """Runs, tables with unrounded figures, warnings."""

    def plain(one):
        return dict(
            mean=one.mean,
            std=one.std,
            interval=one.interval,
            n=one.n,
            marks=sorted(one.marks),
            part=one.part,
            letters=one.letters,
            text=one.text if one.mean is None else None,
            values=[dict(seed=s, accuracy=v) for s, v in one.values.items()],
        )

    return dict(
        runs=[asdict(row) for row in rows],
        tables=[
            dict(
                title=table.title,
                labels=table.labels,
                columns=table.columns,
                rows=[
                    dict(labels=labels, cells=[plain(one) for one in cells])
                    for labels, cells in table.rows
                ],
            )
            for table in tables
        ],
        marks=MARKS,
        warnings=list(warnings),
    )


def _cells(tables):
    return [one for table in tables for _, cells in table.rows for one in cells]
