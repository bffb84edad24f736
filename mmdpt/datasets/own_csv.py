"""Own photos: read a CSV file and tell all that is wrong with it at once."""

import csv
import os.path as osp
from collections.abc import Sequence
from io import StringIO

from mmengine.logging import print_log

from .index import SUFFIXES
from .own_files import PARTS, nearest, plain_name
from .split_files import CONTROLS, read_lists

COLUMNS = ('path', 'label', 'split')
FORM = 'path (relative), label and perhaps split (train, val, test)'
SHOWN = 5  # problems


def read_csv(path: str, classes: Sequence[str] = ()) -> list[tuple[str, str, str | None]]:
    """Read a CSV file of path, label and perhaps split.

    A first line with "path" and "label" names the columns; without one they
    are path, label, split. Numbers as labels count ``classes`` from 0.

    Returns:
        list: (path, class name, 'train' | 'val' | 'test' | None), as listed.

    Raises:
        ValueError: If lines have another form, an absolute path, or a label
            that does not fit ``classes``; the message names the lines.
    """
    lines = _lines(path)
    columns = _columns(path, lines)
    if not lines or 'label' not in columns:
        raise ValueError(
            f'{path!r} has no images: expected lines of path, '
            'label and perhaps split (train, val, test).'
        )
    rows = {number: dict(zip(columns, values)) for number, values in lines}
    problems = {
        number: f'Line {number} of {path!r} is {",".join(values)[:200]!r}, expected {FORM}'
        for number, values in lines
        if not _is_row(rows[number], values[len(columns) :])
    }
    good = {number: row for number, row in rows.items() if number not in problems}
    numbers = bool(good) and all(_is_number(row['label']) for row in good.values())
    if numbers and not classes:
        raise ValueError(
            f'The labels of {path!r} are numbers. The prompts '
            'need names: set dataset.classes="[first,second]", '
            'or write names into the file.'
        )
    _refuse(problems | _wrong_labels(path, good, classes, numbers))
    if len({bool(row.get('split')) for row in rows.values()}) > 1:
        raise ValueError(f'{path!r} names a split in some lines only; name it in all or in none.')
    return [
        (
            row['path'],
            classes[int(row['label'])] if numbers else row['label'],
            row.get('split') or None,
        )
        for row in rows.values()
    ]


def _lines(path: str) -> list[tuple[int, list[str]]]:
    try:
        reader = csv.reader(StringIO(read_lists(path), newline=''))
        return [(reader.line_num, [value.strip() for value in line]) for line in reader if line]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f'{path!r} is not a CSV file in UTF-8 ({error}).') from None
    except ValueError as error:
        raise ValueError(f'{path!r} {error}.') from None


def _columns(path: str, lines: list) -> list[str]:
    """The columns; takes their names off the lines."""
    if not lines:
        return list(COLUMNS)
    number, values = lines[0]
    names = [value.lower() for value in values]
    if names[0] != 'path' and not {'path', 'label'} <= set(names):
        if _names_columns(lines):
            raise ValueError(
                f'Line {number} of {path!r} is {",".join(values)[:200]!r}, which seems to name '
                'columns: call them path, label and perhaps split.'
            )
        return list(COLUMNS)
    del lines[0]
    others = [name for name in names if name not in COLUMNS]
    slips = [name for name in others if nearest(name, COLUMNS)]
    if slips or len(set(names)) < len(names):
        raise ValueError(
            f'Line {number} of {path!r} names the columns {", ".join(names)[:200]}: '
            f'{slips[0] if slips else "one"!r} is {"unknown" if slips else "there twice"}'
            f'{nearest(slips[0], COLUMNS) if slips else ""}. '
            'They are path, label and perhaps split.'
        )
    if others and 'label' in names:
        print_log(f'{path}: the columns {", ".join(others)} are not used.', logger='current')
    return names


def _names_columns(lines: list) -> bool:
    """Whether the first line is another kind of line than all others."""
    (_, first), rest = lines[0], [values for _, values in lines[1:]]
    return (
        bool(rest)
        and not first[0].lower().endswith(SUFFIXES)
        and all(values[0].lower().endswith(SUFFIXES) for values in rest)
        and first[1:2] not in [values[1:2] for values in rest]
    )


def _is_row(row: dict, more: list[str]) -> bool:
    return (
        bool(row.get('path'))
        and bool(row.get('label'))
        and not any(more)
        and not osp.isabs(row['path'])
        and not CONTROLS.search(row['path'])
        and row.get('split') in (None, '', *PARTS)
    )


def _is_number(label: str) -> bool:
    return label.isascii() and label.isdecimal()


def _wrong_labels(
    path: str, rows: dict[int, dict], classes: Sequence[str], numbers: bool
) -> dict[int, str]:
    known = {plain_name(name) for name in classes}
    found = {}
    for line, row in rows.items():
        label = row['label']
        if numbers and (len(label) > 9 or int(label) >= len(classes)):
            found[line] = (
                f'Line {line} of {path!r} has the label {label[:30]}, but '
                f'classes has {len(classes)} names, from 0 to {len(classes) - 1}'
            )
        elif classes and not numbers and plain_name(label) not in known:
            near = nearest(label, classes) if len(found) < SHOWN else ''
            names = ', '.join(classes[:20]) + (', ...' if len(classes) > 20 else '')
            found[line] = (
                f'Line {line} of {path!r} has the class {label!r}, '
                f'which is not in classes: {names}{near}'
            )
    return found


def _refuse(problems: dict[int, str]) -> None:
    if not problems:
        return
    lines = sorted(problems)
    text = '; '.join(problems[line] for line in lines[:SHOWN])
    if len(lines) > SHOWN:
        text += f'; and {len(lines) - SHOWN} more lines up to {lines[-1]}'
    raise ValueError(f'{text}.')
