"""Own photos: better class names than those of the folders."""

import csv
from collections.abc import Iterable, Mapping
from io import StringIO

from .benchmarks import repeated
from .own_files import nearest
from .split_files import read_lists

HEAD = ('folder', 'name')


def read_renames(given: None | str | Mapping[str, str]) -> dict[str, str]:
    """New class names by old ones.

    Args:
        given (str | Mapping[str, str], optional): The names themselves, or a CSV file with lines
            of folder,name. None: no class is renamed.

    Raises:
        OSError: If there is no such file.
        ValueError: If it has another form, a name is missing, or a folder is there twice.
    """
    if not given:
        return {}
    pairs = _read(given) if isinstance(given, str) else list(given.items())
    for old, new in pairs:
        if not isinstance(new, str) or not new.strip():
            raise ValueError(
                f'dataset.rename gives {old!r} the name {new!r}: give text, or leave it out.'
            )
    twice = repeated([old for old, _ in pairs])
    if twice:
        raise ValueError(f'dataset.rename names {twice[0]!r} twice: remove one of the two.')
    return {old: new.strip() for old, new in pairs}


def _read(path: str) -> list[tuple[str, str]]:
    try:
        lines = [line for line in csv.reader(StringIO(read_lists(path), newline='')) if line]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f'{path!r} is not a CSV file in UTF-8 ({error}).') from None
    rows = [tuple(value.strip() for value in line) for line in lines]
    rows = rows[1:] if rows and tuple(map(str.lower, rows[0])) == HEAD else rows
    wrong = [row for row in rows if len(row) != 2]
    if wrong or not rows:
        shown = f'has the line {",".join(wrong[0])[:100]!r}' if wrong else 'is empty'
        raise ValueError(
            f'dataset.rename: {path!r} {shown}, expected lines of folder,name, such as '
            'n02123045,tabby cat. A name with a comma stands in quotation marks.'
        )
    return rows  # type: ignore[return-value]


def renamed(found: Iterable[str], renames: Mapping[str, str], source: str) -> dict[str, str]:
    """The class names of the data, and what each is called.

    Raises:
        ValueError: If a class that is to be renamed does not exist, or two get one name.
    """
    names = sorted(set(found))
    unknown = sorted(set(renames) - set(names))
    if unknown:
        raise ValueError(
            f'dataset.rename names the class {unknown[0]!r}, which {source!r} does not have'
            f'{nearest(unknown[0], names)}: it has {", ".join(names[:20])}'
            f'{", ..." if len(names) > 20 else ""}.'
        )
    called = {name: renames.get(name, name) for name in names}
    twice = repeated(list(called.values()))
    if twice:
        same = [old for old, new in called.items() if new == twice[0]]
        raise ValueError(
            f'dataset.rename gives the classes {", ".join(same)} one name, {twice[0]!r}: classes '
            'need names of their own. To make them one class, put their photos into one folder.'
        )
    return called
