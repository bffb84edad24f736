"""The long table as a CSV file, there and back."""

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, fields

from ..utils.files import write_text
from ..utils.text import cell, from_cell
from .row import COLUMNS, Row

KINDS = dict(
    shots=int,
    seed=int,
    epochs=int,
    accuracy=float,
    train_seconds=float,
    train_cpu_seconds=float,
    peak_memory_mib=float,
    dirty='True'.__eq__,
    chosen_on_test='True'.__eq__,
)


def write_csv(rows: Sequence[Row], path: str) -> None:
    """Write one line for each row; None is an empty field."""
    text = io.StringIO(newline='')
    writer = csv.DictWriter(text, COLUMNS)
    writer.writeheader()
    for row in rows:
        writer.writerow({k: cell(v) if isinstance(v, str) else v for k, v in asdict(row).items()})
    write_text(text.getvalue(), path)


def read_csv(path: str) -> list[Row]:
    """Read what :func:`write_csv` wrote.

    Raises:
        ValueError: If the columns differ, or a number is not one.
    """
    with open(path, newline='', encoding='utf-8') as file:
        reader = csv.DictReader(file)
        absent = {'method', 'dataset', 'shots', 'seed', 'accuracy'} - set(reader.fieldnames or ())
        if absent:
            raise ValueError(
                f'{path} has no column {", ".join(sorted(absent))}: give a file that '
                'tools/collect_results.py --csv wrote'
            )
        return [_run(line, path, number) for number, line in enumerate(reader, 2)]


def _run(line, path, number):
    defaults = {field.name: field.default for field in fields(Row)}
    try:
        return Row(
            **{name: _value(name, line[name]) for name in defaults if line.get(name) is not None}
        )
    except ValueError as error:
        raise ValueError(f'{path}, line {number}: {error}') from error


def _value(name, text):
    if name not in KINDS:
        return from_cell(text)
    return KINDS[name](text) if text else None
