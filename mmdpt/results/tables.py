"""The tables of a paper: methods as rows, datasets as columns."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import fmean, harmonic_mean

from .cells import Cell, average, by, cell, doubtful_draws, mixed_code, spread
from .row import NOTE, TRANSDUCTIVE, Row, reference

AVERAGE = 'Average'
PARTS = ('base', 'new')
SEVERAL = ('open-world', 'ood')  # their figures are of several kinds, and have no mean
COSTS = ['seconds', 'CPU seconds', 'peak MiB']


@dataclass
class Table:
    """Rows of cells under a title; ``rows`` is (labels, cells) each."""

    title: str
    labels: list[str]
    columns: list[str]
    rows: list[tuple[tuple[str, ...], list[Cell]]] = field(default_factory=list)


def all_tables(rows: Sequence[Row]) -> tuple[list[Table], list[str]]:
    """Make all tables that the rows have figures for.

    Args:
        rows (Sequence[Row]): Of :func:`collect` or :func:`read_csv`.

    Returns:
        tuple[list[Table], list[str]]: Tables, and warnings about cells whose
        runs do not belong together.
    """
    warnings: list[str] = []
    rows = [row for row in rows if row.placed]
    doubtful = doubtful_draws(rows, warnings)
    name = namer(rows)
    for same in by(
        rows, lambda r: (name(r), r.protocol, r.target, r.dataset, r.subset, r.shots, r.data)
    ).values():
        first = same[0]
        warning = mixed_code(same, f'{name(first)}, {first.dataset}, {first.shots} shots')
        if warning and warning not in warnings:
            warnings.append(warning)
    tables = []
    for (protocol, subset, data), some in by(
        rows, lambda r: (r.protocol, r.subset, r.data)
    ).items():
        if data and protocol == 'few-shot':  # with zero-shot CLIP to compare with
            own = any(r.shots == 0 for r in some)  # of corrupted test images
            plain = [r for r in rows if r.shots == 0 and r.subset == subset and not r.data]
            some = some if own else plain + some
        if protocol == 'few-shot':
            made = few_shot_tables(some, subset, name, doubtful)
        elif protocol == 'base-to-new':
            made = base_to_new_tables(some, name, doubtful)
        else:
            made = transfer_tables(some, protocol, name, doubtful)
        for table in made:
            table.title += f', {data}' if data else ''
        tables += made
    return tables, warnings


def namer(rows: Sequence[Row]):
    """A function that names a row's method, with its CLIP if there are several."""
    several = len({row.arch for row in rows} - {''}) > 1
    return lambda row: f'{row.method} ({row.arch})' if several and row.arch else row.method


def grid(rows: Sequence[Row], name, doubtful=()) -> dict[tuple, Cell]:
    """Cells by method, dataset and shots, of few-shot rows."""
    groups = by(rows, lambda row: (name(row), row.dataset, row.shots))
    return {key: cell(group, doubtful) for key, group in groups.items()}


def few_shot_tables(rows, subset, name, doubtful) -> list[Table]:
    """One table per number of shots, and one of the averages over shots."""
    cells, datasets = grid(rows, name, doubtful), unique(row.dataset for row in rows)
    methods = method_order(rows, name)
    shots = sorted(unique(row.shots for row in rows), key=shot_order)
    costs = by(
        [r for r in rows if None not in (r.train_cpu_seconds, r.peak_memory_mib)],
        lambda r: (name(r), r.shots),
    )
    extra = '' if subset == 'all' else f', {subset} classes'
    table = Table(
        f'{AVERAGE if len(datasets) > 1 else datasets[0]} by shots{extra}',
        ['Method'],
        [shot_name(k) for k in shots],
    )
    for method in methods:
        found = [_over_datasets(cells, method, datasets, k) for k in shots]
        table.rows.append(((method,), [row[-1] for row in found]))
    return [table] + [
        _one_shot_table(cells, methods, datasets, k, f'{shot_name(k)}{extra}', costs)
        for k in shots
        if k != 0 or shots == [0]
    ]


def _one_shot_table(cells, methods, datasets, shots, title, costs):
    columns = datasets + ([AVERAGE] if len(datasets) > 1 else [])
    costly = any(k == shots for _, k in costs)
    table = Table(title, ['Method'], columns + (COSTS if costly else []))
    for method in methods:
        for k in {0, shots}:  # zero-shot is in each table
            if any((method, dataset, k) in cells for dataset in datasets):
                found = _over_datasets(cells, method, datasets, k)
                found += _cost(costs.get((method, k), [])) if costly else []
                table.rows.append(((method,), found))
    return table


def _cost(runs) -> list[Cell]:
    """Means over the runs that say what they took."""
    if not runs:
        return [Cell()] * len(COSTS)
    wall = fmean(run.train_seconds for run in runs)
    processor = fmean(run.train_cpu_seconds for run in runs)
    memory = fmean(run.peak_memory_mib for run in runs)
    return [Cell(text=f'{wall:.1f}'), Cell(text=f'{processor:.1f}'), Cell(text=f'{memory:.0f}')]


def _over_datasets(cells, method, datasets, shots) -> list[Cell]:
    found = {d: cells.get((method, d, shots), Cell()) for d in datasets}
    return [*found.values()] + ([average(found)] if len(datasets) > 1 else [])


def base_to_new_tables(rows, name, doubtful) -> list[Table]:
    """One table per number of shots: base, new and their harmonic mean."""
    tables = []
    for shots, some in by(rows, lambda row: row.shots).items():
        groups = by(some, lambda row: (name(row), row.dataset, row.target))
        datasets = unique(row.dataset for row in some)
        table = Table(
            f'base-to-new, {shot_name(shots)}', ['Dataset', 'Method'], ['Base', 'New', 'H']
        )
        parts = {
            (m, d, p): cell(groups.get((m, d, p), []), doubtful)
            for m in method_order(some, name)
            for d in datasets
            for p in PARTS
        }
        for dataset in ([AVERAGE] if len(datasets) > 1 else []) + datasets:
            for method in method_order(some, name):
                base, new = (
                    average({d: parts[method, d, p] for d in datasets})
                    if dataset == AVERAGE
                    else parts[method, dataset, p]
                    for p in PARTS
                )
                table.rows.append(((dataset, method), [base, new, harmonic(base, new)]))
        tables.append(table)
    return tables


def harmonic(base: Cell, new: Cell) -> Cell:
    """The harmonic mean of the two means, as the CoCoOp paper's tables have it.

    `Conditional Prompt Learning for Vision-Language Models
    <https://arxiv.org/abs/2203.05557>`_: there the average's H is that of the
    averages, not the average of the H. The standard deviation is that of the
    seeds' harmonic means.
    """
    marks, runs = base.marks | new.marks, base.runs + new.runs
    if base.mean is None or new.mean is None:
        return Cell(marks=marks, text='failed' if '†' in marks else '—', runs=runs)
    values = {}
    if set(base.values) == set(new.values):
        values = {s: harmonic_mean([base.values[s], new.values[s]]) for s in base.values}
    mean = harmonic_mean([base.mean, new.mean])
    return Cell(values, mean, spread(values.values()), marks, part=base.part or new.part, runs=runs)


def transfer_tables(rows, protocol, name, doubtful) -> list[Table]:
    """One table per source: the datasets that were tested as columns."""
    tables = []
    for (source, shots), some in by(rows, lambda row: (row.dataset, row.shots)).items():
        groups = by(some, lambda row: (name(row), row.target))
        targets = unique(row.target for row in some if row.target)
        head = f'{protocol} from {source}'
        if protocol == TRANSDUCTIVE:
            head = f'{protocol} ({NOTE}), {source}'
        mean = [] if protocol in SEVERAL else [AVERAGE]
        table = Table(f'{head}, {shot_name(shots)}', ['Method'], [*targets, *mean])
        for method in method_order(some, name):
            found = {t: cell(groups.get((method, t), []), doubtful) for t in targets}
            table.rows.append(((method,), [*found.values(), *[average(found)] * len(mean)]))
        tables.append(table)
    return tables


def method_order(rows, name) -> list[str]:
    """Methods in order: references first, then by name."""
    methods = {name(row): (reference(row.method), name(row)) for row in rows}
    return sorted(methods, key=methods.__getitem__)


def unique(values) -> list:
    """Each value once, in order of first appearance."""
    return list(dict.fromkeys(values))


def shot_order(shots):
    """Whole lists (None) come last."""
    return float('inf') if shots is None else shots


def shot_name(shots) -> str:
    """The number of shots in words, as in '16 shots'."""
    return 'all images' if shots is None else f'{shots} shot{"" if shots == 1 else "s"}'
