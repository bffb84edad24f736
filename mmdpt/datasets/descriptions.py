"""What describes a benchmark in a config: a name, or your own data's arguments."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from .benchmarks import Benchmark, get_benchmark, repeated
from .own_files import FORMS
from .own_names import read_renames
from .split_files import read_text

FRACTIONS = (0.5, 0.2, 0.3)  # the public benchmark's
PHOTO = 'a photo of a {}.'


def own_benchmark(
    name: str = 'Own',
    classes: None | str | Sequence[str] = None,
    templates: None | str | Sequence[str] = None,
    image_dir: str = '',
    fractions: Sequence[float] = FRACTIONS,
    allow_leaks: bool = False,
    draw_val: bool = True,
    rename: None | str | Mapping[str, str] = None,
) -> Benchmark:
    """Describe your own data; their place is the dataset's ``data_root``.

    ``data_root`` is (1) a folder with one subfolder of photos per class; (2) a
    folder with ``train``, ``test`` and perhaps ``val``, each like (1); (3) a
    CSV file with the columns path, label and perhaps split; (4) a split file
    ``{"train": [[path, label, class name], ...], "val", "test"}``.

    Args:
        name (str): A name for logs and results. Defaults to 'Own'.
        classes (str | Sequence[str], optional): The class names in the order
            of the labels, or a .txt file with one per line. Defaults to all
            that the data name, sorted (a split file's: in its order). If a
            CSV's labels are numbers, they count these names from 0.
        templates (str | Sequence[str], optional): Prompts with one ``{}``, or
            a .txt file with one per line; underscores become spaces. Defaults
            to 'a photo of a {}.'.
        image_dir (str): Where a file's paths start, seen from the file.
            Defaults to the file's folder.
        fractions (Sequence[float]): Shares of each class's photos for train,
            val and test where the data do not say. Defaults to the public
            benchmark's: 0.5, 0.2, 0.3.
        allow_leaks (bool): Whether to train although the same picture is in
            more than one list. Defaults to False.
        draw_val (bool): Whether photos are put aside to choose settings on, where the data do
            not say. False: they are learnt from; the test list is the same. Defaults to True.
        rename (str | Mapping[str, str], optional): Class names by folder, or a .csv of folder,name.

    Raises:
        FileNotFoundError: If a .txt or .csv file is missing.
        ValueError: If a class name appears twice, a template has no single
            ``{}`` or no spaces, or the shares do not add up to 1.
    """
    classes = _names(classes)
    templates = [t.replace('_', ' ') for t in _names(templates or PHOTO)]
    for template in templates:
        check_template(template)
    if repeated(classes):
        raise ValueError(f'The class name {repeated(classes)[0]!r} appears twice in classes.')
    return Benchmark(
        name=name,
        classes=classes,
        templates=tuple(templates),
        image_dir=image_dir,
        source='--cfg-options dataset.data_root=FOLDER says where they are. Your own data may be '
        f'{FORMS}.',
        layout='own',
        fractions=_three_shares(fractions),
        allow_leaks=allow_leaks,
        draw_val=draw_val,
        renames=tuple(read_renames(rename).items()),
    )


def _three_shares(fractions: Sequence[float]) -> tuple[float, float, float]:
    shares = tuple(float(x) for x in fractions)
    if len(shares) != 3 or min(shares) < 0 or not abs(sum(shares) - 1) <= 1e-6:
        raise ValueError(
            f'fractions must be three shares (train, val, test) that add up to 1, got {shares}.'
        )
    return shares[0], shares[1], shares[2]


def _names(given: None | str | Sequence[str]) -> tuple[str, ...]:
    """Texts from a list, from a single text, or from the lines of a .txt file."""
    if isinstance(given, str):
        return tuple(read_text(given)) if given.endswith('.txt') else (given,)
    return tuple(given or ())


def check_template(template: str) -> None:
    """Refuse what a command line has mangled.

    Raises:
        ValueError: If there is no single ``{}``, or text without spaces:
            MMEngine's ``--cfg-options`` removes spaces and splits at
            commas.
    """
    text = template.replace('{}', '', 1)
    if template.count('{}') != 1 or (len(text) > 1 and ' ' not in template):
        mangled = ''
        if ' ' not in template:
            mangled = (
                ' --cfg-options removes spaces and splits at commas: write a_photo_of_a_{}. there, '
                'or give a .txt file with one template per line: dataset.templates=templates.txt'
            )
        raise ValueError(
            f'The template {template!r} must be words with one {{}}, such as {PHOTO!r}.{mangled}'
        )


def as_benchmark(benchmark) -> Benchmark:
    """A benchmark from its name, from :func:`own_benchmark`'s arguments, or
    itself."""
    if isinstance(benchmark, dict):
        return own_benchmark(**benchmark)
    return get_benchmark(benchmark)


def with_classes(benchmark: Benchmark, names: Sequence[str]) -> Benchmark:
    """The benchmark with its class names filled in."""
    return replace(benchmark, classes=tuple(names))
