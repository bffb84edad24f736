"""Sentences that describe classes, from a JSON or CSV file.

As CuPL (`What does a platypus look like? <https://arxiv.org/abs/2209.03320>`_) and CoPrompt
(`Consistency-guided Prompt Learning <https://arxiv.org/abs/2306.01195>`_) use them.
"""

import csv
import json
from collections.abc import Sequence
from io import StringIO
from typing import Annotated

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, ValidationError

from mmdpt.utils.files import read_regular

from .own_files import nearest, plain_name

MAX_BYTES = 2**26  # 1000 classes with 50 sentences each have 5 MB
MOST_SENTENCES = 1000  # per class
MOST_CARRIED = 100_000  # by a checkpoint, in all
SHOWN = 5  # faults of one kind
FORM = '{"class": ["sentence", ...], ...}, or a .csv file with the columns class and sentence'
Sentence = Annotated[str, Field(max_length=1000)]
Sentences = Annotated[
    dict[
        Annotated[str, Field(max_length=300)],
        Annotated[list[Sentence], Field(max_length=MOST_SENTENCES)],
    ],
    Field(max_length=50_000),
]


def _few(sentences: dict[str, list[str]]) -> dict[str, list[str]]:
    if sum(map(len, sentences.values())) > MOST_CARRIED:
        raise ValueError(f'has more than {MOST_CARRIED} sentences')
    return sentences


Carried = Annotated[Sentences, AfterValidator(_few)]  # by a checkpoint
SCHEMA = TypeAdapter(Sentences, config=ConfigDict(strict=True))


def read_sentences(path: str, classes: Sequence[str], others: bool = False) -> dict[str, list[str]]:
    """Read the sentences of each class.

    Args:
        path (str): A .json file ``{"class": ["sentence", ...], ...}``, or a
            .csv file with the columns ``class`` and ``sentence``, one
            sentence per line; in UTF-8.
        classes (Sequence[str]): The class names. Spaces and underscores make
            no difference.
        others (bool): Accept descriptions of other classes, such as those of
            the other half of a benchmark; they are not read further.

    Returns:
        dict[str, list[str]]: In the order of ``classes`` and of the file.

    Raises:
        OSError: If there is no such file.
        ValueError: If it has another form; or if classes are missing, unknown,
            there twice or without sentences, all of which the message tells.
    """
    try:
        text = read_regular(path, MAX_BYTES).decode('utf-8-sig')
        pairs = _from_csv(text) if path.lower().endswith('.csv') else _from_json(text)
    except FileNotFoundError:
        raise FileNotFoundError(f'The descriptions {path!r} do not exist.') from None
    except ValidationError as error:
        told = '; '.join(
            f'{" ".join(str(step)[:50] for step in fault["loc"])}: {fault["msg"]}'.lstrip(': ')
            for fault in error.errors(include_url=False, include_input=False)[:SHOWN]
        )
        raise ValueError(f'The descriptions {path!r} must be {FORM}: {told}.') from None
    except (ValueError, csv.Error, RecursionError) as error:
        raise ValueError(f'The descriptions {path!r} must be {FORM}: {error}.') from None
    if others:
        wanted = {plain_name(name) for name in classes}
        pairs = [pair for pair in pairs if plain_name(pair[0]) in wanted]
    return check_sentences(pairs, classes, f'The descriptions {path!r}')


def _from_json(text: str) -> list[tuple[str, list[str]]]:
    """Names and sentences, names that are there twice included."""
    whole: list = []

    def keep(pairs: list) -> dict:
        whole[:] = pairs  # the outermost object comes last
        return dict(pairs)

    SCHEMA.validate_python(json.loads(text, object_pairs_hook=keep))
    return [pair for name, given in whole for pair in SCHEMA.validate_python({name: given}).items()]


def _from_csv(text: str) -> list[tuple[str, list[str]]]:
    lines = [line for line in csv.reader(StringIO(text, newline='')) if line]
    if not lines or [column.strip().lower() for column in lines[0]] != ['class', 'sentence']:
        raise ValueError('its first line is not class,sentence')
    found: dict[str, list[str]] = {}
    for number, line in enumerate(lines[1:], 2):
        if len(line) != 2:
            raise ValueError(
                f'entry {number} has {len(line)} fields; a sentence with commas needs quotes'
            )
        found.setdefault(line[0].strip(), []).append(line[1])
    return list(SCHEMA.validate_python(found).items())


def check_sentences(
    pairs: Sequence[tuple[str, Sequence[str]]], classes: Sequence[str], source: str
) -> dict[str, list[str]]:
    """Put sentences into the order of the classes.

    Args:
        pairs (Sequence): Names and sentences.
        classes (Sequence[str]): The class names.
        source (str): What to call them in an error.

    Raises:
        ValueError: Tells every fault.
    """
    found: dict[str, list[list[str]]] = {}
    for name, given in pairs:
        sentences = [' '.join(sentence.split()) for sentence in given]
        found.setdefault(plain_name(name), []).append(sentences)
    wanted = {plain_name(name): name for name in classes}
    unknown = [name for name, _ in pairs if plain_name(name) not in wanted]
    missing = [name for plain, name in wanted.items() if plain not in found]
    twice = [name for plain, name in wanted.items() if len(found.get(plain, ())) > 1]
    empty = [
        name
        for plain, name in wanted.items()
        if any(not given or '' in given for given in found.get(plain, ()))
    ]
    faults = [
        f'{text}: {_listed(names, missing if names is unknown else ())}'
        for text, names in (
            ('classes without a description', missing),
            ('descriptions of no class', unknown),
            ('classes that are there twice', twice),
            ('classes with no sentence, or an empty one', empty),
        )
        if names
    ]
    if faults:
        raise ValueError(
            f'{source} do not fit the {len(classes)} classes. {"; ".join(faults)}. Correct them, '
            'or the class names.'
        )
    return {name: found[plain_name(name)][0] for name in classes}


def _listed(names: list[str], near: Sequence[str]) -> str:
    """Some names, each with the class that it may have meant."""
    shown = ', '.join(f'{name!r}{nearest(name, near)}' for name in names[:SHOWN])
    return shown + (f' and {len(names) - SHOWN} more' if len(names) > SHOWN else '')
