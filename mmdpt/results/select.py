"""Which rows count: duplicates, references once, missing seeds."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from .cells import by
from .row import REFERENCES, Row, reference

ROUNDING = 1e-4  # per cent: of single precision, and less than one image of a million
SAME = ('protocol', 'target', 'method', 'arch', 'dataset', 'subset', 'shots', 'data')


def collect(
    rows: Sequence[Row], seeds: Sequence[int] | None = None, latest: bool = False
) -> tuple[list[Row], list[str]]:
    """Settle duplicates, keep references once, add rows for missing seeds.

    Args:
        rows (Sequence[Row]): As :func:`find_runs` gives them.
        seeds (Sequence[int], optional): Seeds that every experiment should
            have. Defaults to all seeds that any run of the protocol has.
        latest (bool): Whether the run that finished last wins over others of
            the same method, dataset, shots and seed.

    Returns:
        tuple[list[Row], list[str]]: Rows, sorted, and warnings.

    Raises:
        ValueError: If two runs are the same experiment and not ``latest``.
    """
    warnings: list[str] = []
    own = [row for row in rows if reference(row.method) == len(REFERENCES)]
    kept = _settle([row for row in own if row.status == 'ok'], latest, warnings)
    failed = _not_repeated([row for row in own if row.status != 'ok'], kept, warnings)
    # If a duplicate is left out, so are its references.
    left_out = {row.source for row in own} - {row.source for row in kept}
    told = [
        row
        for row in rows
        if reference(row.method) < len(REFERENCES) and row.source not in left_out
    ]
    kept += _references(told, warnings)
    every = kept + failed
    return sorted(every + _missing(every, seeds, warnings), key=order), warnings


def order(row: Row) -> tuple:
    """Sort references first, then by name, shots and seed."""
    number = [-1 if n is None else n for n in (row.shots, row.seed)]
    return (
        row.protocol,
        row.subset,
        row.dataset,
        reference(row.method),
        row.method,
        row.arch,
        *number,
        row.target,
        row.source,
    )


def _settle(rows, latest, warnings):
    kept = []
    for same in by(rows, lambda row: row.key).values():
        if len(same) > 1 and not latest:
            raise ValueError(
                f'{same[0].source} and {same[1].source} are both {title(same[0])}. Leave one out; '
                'take the one that finished last with --latest; or, if they differ in other '
                'settings, train with --cfg-options default_hooks.report.method=NAME'
            )
        kept.append(max(same, key=lambda row: row.finished))
        warnings += [
            f'{row.source} is older than {kept[-1].source} and left out (--latest)'
            for row in same
            if row is not kept[-1]
        ]
    return kept


def _not_repeated(failed, kept, warnings):
    """Drop failed runs of experiments that another run finished."""
    finished, left = {row.key: row for row in kept}, []
    for row in failed:
        if row.key in finished:
            warnings.append(
                f'{row.source}: {row.note}; {finished[row.key].source}, the same '
                'experiment, is used'
            )
        else:
            warnings.append(f'{row.source}: {title(row)}: {row.note}')
            left.append(row)
    return left


def _references(rows, warnings):
    """One row of each reference and draw, or one for each differing figure."""
    kept = []
    for same in by(rows, lambda row: (row.key, row.draw_hash)).values():
        firsts: list[Row] = []
        for row in sorted(same, key=lambda row: row.accuracy):
            if not firsts or row.accuracy - firsts[-1].accuracy > ROUNDING:
                firsts.append(row)
        if len(firsts) > 1:
            told = ', '.join(f'{row.accuracy:.2f} in {row.source}' for row in firsts)
            warnings.append(f'{title(same[0])} differs between runs of one draw: {told}')
            firsts = [replace(row, note='differs between runs') for row in firsts]
        kept += firsts
    return kept


def _missing(rows, seeds, warnings):
    """Rows for expected seeds without any trace."""
    known, groups = defaultdict(set), defaultdict(dict)
    for row in rows:
        if row.seed is not None and row.placed:
            known[row.protocol].add(row.seed)
            groups[replace(row, seed=None).key][row.seed] = row
    added = []
    for group in groups.values():
        row = next(iter(group.values()))
        gaps = sorted(set(seeds or known[row.protocol]) - set(group))
        kept = {name: getattr(row, name) for name in SAME}
        added += [Row(**kept, seed=seed, status='missing', note='no such run') for seed in gaps]
        if gaps:
            warnings.append(f'missing: {title(Row(**kept))}, seed {", ".join(map(str, gaps))}')
    return added


def title(row: Row) -> str:
    """An experiment in words."""
    parts = [row.method, row.arch, row.dataset]
    parts += [f'{row.subset} classes'] if row.subset != 'all' else []
    parts += [] if row.shots == 0 else ['all images' if row.shots is None else f'{row.shots} shots']
    parts += [f'seed {row.seed}'] if row.seed is not None else []
    parts.append(row.data)
    if row.protocol != 'few-shot':
        parts.append(f'{row.protocol} {row.target}'.strip())
    return ', '.join(part for part in parts if part)
