"""How the benchmarks are laid out on disk: which files, which classes, which lists.

A layout is made for a benchmark and a ``data_root`` and answers three
questions: what must be there, what are the classes, what are the lists.
"""

import logging
import os.path as osp
from collections import Counter
from collections.abc import Sequence

from mmengine.logging import print_log

from .benchmarks import Benchmark, get_benchmark
from .descriptions import as_benchmark
from .sampling import subset_labels
from .split_files import Split

LAYOUTS: dict = {}


def layout(name: str):
    """Register a layout under a name."""

    def register(cls):
        LAYOUTS[name] = cls
        return cls

    return register


class Layout:
    """Base of the layouts.

    Args:
        benchmark (Benchmark): The benchmark.
        data_root (str): The folder that holds the benchmarks' folders.

    Attributes:
        val_is_test (bool): Whether the test list doubles as the val list.
        skipped (Counter): Files of own data that are not read, by ending.
    """

    val_is_test = False
    skipped: Counter = Counter()

    def __init__(self, benchmark: Benchmark, data_root: str) -> None:
        self.benchmark = benchmark
        self.data_root = osp.expanduser(data_root)
        self.folder = osp.join(self.data_root, benchmark.folder)
        self.images = osp.join(self.folder, benchmark.image_dir)

    def wanted(self) -> list[str]:
        """What must be in the folder; a name with a final '/' is a folder."""
        raise NotImplementedError

    def class_names(self) -> tuple[str, ...]:
        """The class names in label order."""
        raise NotImplementedError

    def lists(self) -> Split:
        """The three lists, paths relative to :attr:`images`."""
        raise NotImplementedError

    def path(self, name: str) -> str:
        """A file of the benchmark's folder."""
        return osp.join(self.folder, name)

    def remedy(self) -> str:
        """What to do if something is not there."""
        wanted = ' and '.join(self.path(name) for name in self.wanted())
        return (
            f'Wanted: {wanted}. {self.benchmark.source} If they are '
            'elsewhere, set dataset.data_root (--cfg-options '
            'dataset.data_root=FOLDER), or link the folder.'
        )

    def check(self, only_files: bool = False) -> None:
        """Refuse data that lack a folder or a file.

        Args:
            only_files (bool): Leave the image folders out.

        Raises:
            FileNotFoundError: Names it, and what to download where.
        """
        for name in ['/', *self.wanted()]:
            is_folder = name.endswith('/')
            path = self.folder if name == '/' else self.path(name).rstrip('/')
            if (osp.isdir if is_folder else osp.isfile)(path):
                continue
            if only_files and is_folder and name != '/':
                continue
            kind = 'folder' if name == '/' else 'image folder' if is_folder else 'file'
            kind = 'split file' if name == self.benchmark.split_file else kind
            raise FileNotFoundError(
                f'{self.benchmark.name}: the {kind} '
                f'{path!r} does not exist. {self.remedy()}'
                f'{self.extra_remedy(kind)}'
            )

    def extra_remedy(self, kind: str) -> str:
        """A further remedy, by the kind of what is missing."""
        return ''

    def check_leaks(self, validation: bool = True) -> None:
        """Refuse to train on pictures that are tested on; published lists are as they are."""

    def read(self) -> Split:
        """The lists, after :meth:`check`, with a warning if they are not the
        published ones."""
        self.check()
        split = self.lists()
        sizes = tuple(len(items) for items in split)
        expected = self.benchmark.sizes
        if expected and sizes != expected and not self.val_is_test:
            print_log(
                f'{self.benchmark.name}: the lists have {_three(sizes)} '
                f'(train/val/test) images, the published ones '
                f'{_three(expected)}: results cannot be compared with '
                'published ones. tools/check_dataset.py tells more.',
                logger='current',
                level=logging.WARNING,
            )
        return split


def _three(sizes: Sequence[int]) -> str:
    return '/'.join(map(str, sizes))


def get_layout(benchmark, data_root: str = 'data') -> Layout:
    """The layout of a benchmark.

    Args:
        benchmark (str | Benchmark): The benchmark or its name.
        data_root (str): The folder that holds the benchmarks' folders.
    """
    benchmark = get_benchmark(benchmark)
    return LAYOUTS[benchmark.layout](benchmark, data_root)


def resolve_classes(benchmark, data_root: str = 'data', subset: str = 'all') -> tuple[str, ...]:
    """Class names in label order: the one source for datasets and models.

    Args:
        benchmark (str | Benchmark | dict): The benchmark; its name; or the
            arguments of :func:`own_benchmark`.
        data_root (str): Where the data are; read only if the names do not
            ship with the package. Defaults to 'data'.
        subset (str): 'all', 'base' or 'new' classes.

    Returns:
        tuple[str]: The names.

    Raises:
        FileNotFoundError: If the file with the names is missing.
        ValueError: If it is malformed, or their number is not the published.
    """
    benchmark = as_benchmark(benchmark)
    names = benchmark.classes
    if not names or benchmark.layout == 'own':
        names = get_layout(benchmark, data_root).class_names()
    return tuple(names[i] for i in subset_labels(range(len(names)), subset))
