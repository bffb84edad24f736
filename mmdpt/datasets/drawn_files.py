"""Few-shot draws that are kept in files, as the authors of 2SFS publish theirs."""

import json
import os.path as osp
from collections import Counter
from collections.abc import Mapping, Sequence

from .sampling import MAX_VAL_SHOTS, group_by_label
from .split_files import Item, _once, _short, read_text

NAME = 'shot_{shots}-seed_{seed}_{part}.jsonl'
FORM = '{"_impath": path, "_label": label from 0, "_domain": 0, "_classname": class name}'
TYPES = dict(_impath=str, _label=int, _domain=int, _classname=str)


def read_draw(
    folder: str,
    shots: int,
    seed: int,
    lists: dict[str, Sequence[Item]],
    prefixes: Sequence[str],
    allow_fewer: bool = False,
) -> dict[str, list[Item]]:
    """Read the draws of a number of shots and a seed.

    Args:
        folder (str): Holds ``shot_K-seed_S_train.jsonl`` and ``..._val.jsonl``, one
            JSON object per line; labels are those of all classes.
        shots (int): K.
        seed (int): S.
        lists (dict): The whole 'train' list, and 'val' where there is one.
        prefixes (Sequence[str]): What paths may start with, before those of the lists.
        allow_fewer (bool): Whether a class may have fewer images than it could.

    Returns:
        dict[str, list[Item]]: The drawn items of each list, in the files' order.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If there is a pickle instead, a line has another form, names what is not in
            the list, or a class has no image or too many.
    """
    drawn = {}
    for part, items in lists.items():
        path = osp.join(folder, NAME.format(shots=shots, seed=seed, part=part))
        if not osp.isfile(path):
            _refuse_pickles(folder, shots, seed)
        most = shots if part == 'train' else min(shots, MAX_VAL_SHOTS)
        drawn[part] = _found(path, _rows(path), group_by_label(items), prefixes)
        _check_counts(path, drawn[part], group_by_label(items), most, allow_fewer)
    return drawn


def _refuse_pickles(folder: str, shots: int, seed: int) -> None:
    """Say what to do instead of reading CoOp's draws."""
    pickled = osp.join(folder, f'shot_{shots}-seed_{seed}.pkl')
    if osp.isfile(pickled):
        raise ValueError(
            f'{pickled!r} is a pickle, which may run any program, so it is never opened. '
            'CoOp and its descendants make it by the rule that shots and seed follow here: '
            'leave draws out, and the same images are drawn'
        )


def _rows(path: str) -> list[dict]:
    rows = []
    for number, line in enumerate(read_text(path), 1):
        try:
            row = json.loads(line, object_pairs_hook=_once)
        except (ValueError, RecursionError) as error:
            raise ValueError(f'Line {number} of {path!r} is not valid JSON ({error}).') from None
        if (
            not isinstance(row, dict)
            or not {'_impath', '_label', '_classname'} <= set(row) <= set(TYPES)
            or any(type(value) is not TYPES[key] for key, value in row.items())
        ):
            raise ValueError(f'Line {number} of {path!r} is {_short.repr(row)}, expected {FORM}.')
        rows.append(row)
    return rows


def _found(
    path: str, rows: list[dict], groups: Mapping[int, Sequence], prefixes: Sequence[str]
) -> list[Item]:
    """The items of the benchmark's list that rows name, in their order."""
    found: list = [None] * len(rows)
    for label in sorted({row['_label'] for row in rows}):  # ImageNet's one class at a time
        known = {item.path: item for item in groups.get(label, ())}
        for place, row in enumerate(rows):
            if row['_label'] != label:
                continue
            item = next((known[n] for n in _names(row['_impath'], prefixes) if n in known), None)
            if item is None or item.name != row['_classname']:
                raise ValueError(
                    f"Line {place + 1} of {path!r}: the benchmark's list has no image "
                    f'{row["_impath"]!r} of class {label}, {row["_classname"]!r}. Was it drawn '
                    'from another split file?'
                )
            found[place] = item
    return found


def _names(path: str, prefixes: Sequence[str]):
    """What a path may be in the benchmark's list: as it is, or behind a prefix."""
    yield path
    for prefix in prefixes:
        _, there, rest = f'/{path}'.rpartition(f'/{prefix}/')
        if there:
            yield rest


def _check_counts(
    path: str, items: list[Item], groups: Mapping, most: int, allow_fewer: bool
) -> None:
    counts = Counter(item.label for item in items)
    if len(set(items)) < len(items):
        twice = next(item.path for item, n in Counter(items).items() if n > 1)
        raise ValueError(f'{path!r} has the image {twice!r} twice.')
    for label, group in groups.items():
        least = 1 if allow_fewer else min(most, len(group))
        if not least <= counts[label] <= most:
            hint = ' (with allow_fewer=True: 1 or more)' if 0 < counts[label] < least else ''
            raise ValueError(
                f'{path!r} has {counts[label]} images of class {label}, {group[0].name!r}; '
                f'expected {least if least == most else f"{least} to {most}"}{hint}.'
            )
