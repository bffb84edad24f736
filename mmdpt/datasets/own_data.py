"""Your own photos: a folder, a folder with lists, a CSV, a split file."""
import os.path as osp
from dataclasses import replace
from typing import Sequence, Tuple, Union

from mmengine.logging import print_log

from .benchmarks import Benchmark, get_benchmark
from .layouts import Layout, layout, repeated
from .own_files import (FORMS, PARTS, divide, plain_name, read_csv,
                        read_folder)
from .sampling import draw_hash
from .split_files import (Item, Split, check_classes, check_paths, read_split,
                          read_text)

FRACTIONS = (0.5, 0.2, 0.3)  # the public benchmark's
PHOTO = 'a photo of a {}.'


def own_benchmark(name: str = 'Own',
                  classes: Union[None, str, Sequence[str]] = None,
                  templates: Union[None, str, Sequence[str]] = None,
                  image_dir: str = '',
                  fractions: Sequence[float] = FRACTIONS) -> Benchmark:
    """Describe your own data; their place is the dataset's ``data_root``.

    ``data_root`` is (1) a folder with one subfolder of photos a class; (2) a
    folder with ``train``, ``test`` and perhaps ``val``, each like (1); (3) a
    CSV file with the columns path, label and perhaps split; (4) a split file
    ``{"train": [[path, label, class name], ...], "val", "test"}``.

    Args:
        name (str): A name for logs and results. Defaults to 'Own'.
        classes (str | Sequence[str], optional): The class names in the order
            of the labels, or a .txt file with one a line. Defaults to all
            that the data name, sorted (a split file's: in its order). If a
            CSV's labels are numbers, they count these names from 0.
        templates (str | Sequence[str], optional): Prompts with one ``{}``, or
            a .txt file with one a line; underscores become spaces. Defaults
            to 'a photo of a {}.'.
        image_dir (str): Where a file's paths start, seen from the file.
            Defaults to the file's folder.
        fractions (Sequence[float]): Shares of each class's photos for train,
            val and test where the data do not say. Defaults to the public
            benchmark's: 0.5, 0.2, 0.3.

    Raises:
        FileNotFoundError: If a .txt file is missing.
        ValueError: If a class name stands twice, a template has no single
            ``{}`` or no spaces, or the shares do not add up to 1.
    """
    fractions = tuple(float(x) for x in fractions)
    if len(fractions) != 3 or min(fractions) < 0 or \
            abs(sum(fractions) - 1) > 1e-6:
        raise ValueError('fractions must be three shares (train, val, test) '
                         f'that add up to 1, got {fractions}.')
    classes = _names(classes)
    templates = [t.replace('_', ' ') for t in _names(templates or PHOTO)]
    for template in templates:
        check_template(template)
    if repeated(classes):
        raise ValueError(f'The class name {repeated(classes)[0]!r} stands '
                         'twice in classes.')
    return Benchmark(
        name=name,
        classes=classes,
        templates=tuple(templates),
        image_dir=image_dir,
        source=f'Your own data may be {FORMS}.',
        layout='own',
        fractions=fractions)


def _names(given: Union[None, str, Sequence[str]]) -> Tuple[str, ...]:
    """Texts from a list, from one text, or from the lines of a .txt file."""
    if isinstance(given, str):
        return tuple(read_text(given)) if given.endswith('.txt') else (given, )
    return tuple(given or ())


def check_template(template: str) -> None:
    """Refuse what a command line has mangled.

    Raises:
        ValueError: If there is no single ``{}``, or text without spaces:
            MMEngine's ``--cfg-options`` takes spaces away and splits at
            commas.
    """
    text = template.replace('{}', '', 1)
    if template.count('{}') != 1 or (len(text) > 1 and ' ' not in template):
        raise ValueError(
            f'The template {template!r} must be words with one {{}}, such as '
            f'{PHOTO!r}. --cfg-options takes spaces away and splits at '
            'commas: write a_photo_of_a_{}. there, or give a .txt file with '
            'one template a line: dataset.templates=templates.txt')


def as_benchmark(benchmark) -> Benchmark:
    """A benchmark from its name, from :func:`own_benchmark`'s arguments, or
    itself."""
    if isinstance(benchmark, dict):
        return own_benchmark(**benchmark)
    return get_benchmark(benchmark)


def with_classes(benchmark: Benchmark, names: Sequence[str]) -> Benchmark:
    """The benchmark with its class names filled in."""
    return replace(benchmark, classes=tuple(names))


@layout('own')
class OwnData(Layout):
    """Photos in one of the four forms, told apart by what ``data_root`` is."""

    def __init__(self, benchmark, data_root):
        super().__init__(benchmark, data_root)
        self.is_file = osp.isfile(self.data_root)
        if self.is_file:
            self.folder = osp.dirname(self.data_root)
            self.images = osp.join(self.folder, benchmark.image_dir)
        self._split, self._divided = None, False

    def wanted(self):
        return []

    def remedy(self):
        return f'dataset.data_root is {self.data_root!r}. ' \
            f'{self.benchmark.source}'

    def check(self, only_files=False):
        if not osp.exists(self.data_root):
            raise FileNotFoundError(
                f'{self.benchmark.name}: {self.data_root!r} does not exist. '
                f'{self.remedy()}')

    def class_names(self):
        self.lists()
        return self._names

    def read(self):
        split = super().read()
        if self._divided:
            print_log(
                f'{self.benchmark.name}: the data name no lists; '
                f'{sum(map(len, split))} images are divided into '
                f'{"/".join(str(len(part)) for part in split)} '
                f'(train/val/test), hash {draw_hash(*split[:2])[:12]}.',
                logger='current')
        return split

    def lists(self) -> Split:
        if self._split is None:
            self.check()
            self._split, self._names = self._read()
            check_paths(self._split, self.data_root)
        return self._split

    def _read(self) -> Tuple[Split, Tuple[str, ...]]:
        end = osp.splitext(self.data_root)[1].lower()
        if self.is_file and end == '.json':
            split = read_split(self.data_root)
            return split, check_classes(split, self.data_root,
                                        self.benchmark.classes or None)
        if self.is_file and end == '.csv':
            found = read_csv(self.data_root, self.benchmark.classes)
        elif not self.is_file:
            found = read_folder(self.data_root)
        else:
            raise ValueError(f'{self.benchmark.name}: {self.data_root!r} is '
                             f'neither a folder nor a .csv or .json file. '
                             f'{self.benchmark.source}')
        names = self._class_order({name for _, name, _ in found})
        label = {name: i for i, name in enumerate(names)}
        items = [(part, Item(path, label[name], name))
                 for path, name, part in found]
        return self._divide(items, names), names

    def _class_order(self, found: set) -> Tuple[str, ...]:
        """The class names in label order, checked against the data."""
        # in the spelling of the data: a command line takes spaces away
        spelt = {plain_name(name): name for name in sorted(found)}
        names = tuple(spelt.get(plain_name(name), name) for name in
                      self.benchmark.classes) or tuple(sorted(found))
        unknown = sorted(found - set(names))
        empty = [name for name in names if name not in found]
        if unknown or empty:
            what = f'the data have the class {unknown[0]!r}, which classes ' \
                   'does not name' if unknown else \
                   f'the class {empty[0]!r} has no image'
            raise ValueError(f'{self.benchmark.name}: {what}. classes: '
                             f'{list(names)}; classes of {self.data_root!r}: '
                             f'{sorted(found)}.')
        if len(names) < 2:
            raise ValueError(f'{self.benchmark.name}: {self.data_root!r} has '
                             f'{len(names)} class(es) {list(names)}; a '
                             f'classifier needs at least 2. {self.remedy()}')
        return names

    def _divide(self, items: list, names: Sequence[str]) -> Split:
        """The lists that the data name, or a division of all."""
        parts = {part for part, _ in items}
        if parts == {None}:
            self._divided = True
            return divide([item for _, item in items],
                          self.benchmark.fractions)
        if not {'train', 'test'} <= parts:
            raise ValueError(
                f'{self.benchmark.name}: {self.data_root!r} has no '
                f'{"test" if "train" in parts else "train"} images. '
                f'{self.remedy()}')
        split = Split(*([item for p, item in items if p == part]
                        for part in PARTS))
        trained = {item.label for item in split.train}
        for label, name in enumerate(names):
            if label not in trained:
                raise ValueError(f'{self.benchmark.name}: the class {name!r} '
                                 f'of {self.data_root!r} has no train image.')
        return split
