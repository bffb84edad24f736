"""Your own photos: a folder, a folder with lists, a CSV, a split file."""

import logging
import os.path as osp
from collections.abc import Iterable, Sequence

from mmengine.logging import print_log

from .descriptions import FRACTIONS
from .layouts import Layout, layout
from .own_csv import read_csv
from .own_files import PARTS, divide, plain_name, read_folder, skipped_files, told_skipped
from .own_names import renamed
from .sampling import draw_hash
from .split_files import Item, Split, check_classes, check_names, check_paths, read_split
from .twins import find_twins, leaks, places, told

TOLD: set[tuple[str, str]] = set()  # by this process, and of which data


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
        return f'Your photos are looked for in {self.data_root!r}. {self.benchmark.source}'

    def check(self, only_files=False):
        if not osp.exists(self.data_root):
            raise FileNotFoundError(
                f'{self.benchmark.name}: {self.data_root!r} does not exist. {self.remedy()}'
            )

    def class_names(self):
        self.lists()
        return self._names

    def read(self):
        split = super().read()
        if self.skipped:
            self._tell(told_skipped(self.skipped))
        if self._divided:
            self._tell(
                f'the data name no lists; {sum(map(len, split))} images are divided into '
                f'{"/".join(str(len(part)) for part in split)} '
                f'(train/val/test), hash {draw_hash(*split[:2])[:12]}.'
            )
        return split

    def _tell(self, text: str) -> None:
        """Log once what the training's and the test's lists have in common."""
        place = osp.abspath(self.data_root)
        if (place, text) not in TOLD:
            TOLD.add((place, text))
            print_log(f'{self.benchmark.name}: {text}', logger='current')

    def check_leaks(self, validation: bool = True) -> None:
        """Refuse the same picture in more than one list, whatever it is called.

        Args:
            validation (bool): Whether the val list may be looked at.

        Raises:
            ValueError: Unless ``allow_leaks`` is set, which is told.
        """
        lists = self.lists() if validation else self.lists()._replace(val=[])
        found = leaks(find_twins(self.images, places(lists)))
        if not found:
            return
        text = (
            f'{self.benchmark.name}: {len(found)} picture(s) are in more than one list of '
            f'{self.data_root!r}: {told(found)}. The accuracy on pictures that were learnt says '
            'nothing'
        )
        if not self.benchmark.allow_leaks:
            raise ValueError(f'{text}: remove the copies, or set dataset.allow_leaks=True.')
        print_log(f'{text}; they are allowed.', logger='current', level=logging.WARNING)

    def lists(self) -> Split:
        if self._split is None:
            self.check()
            self._split, self._names = self._read()
            check_paths(self._split, self.data_root)
        return self._split

    def _read(self) -> tuple[Split, tuple[str, ...]]:
        end = osp.splitext(self.data_root)[1].lower()
        if self.is_file and end == '.json':
            split = self._rename_split(read_split(self.data_root))
            return split, check_classes(split, self.data_root, self.benchmark.classes or None)
        if self.is_file and end == '.csv':
            found = read_csv(self.data_root, self.benchmark.classes)
        elif not self.is_file:
            found = read_folder(self.data_root)
            self.skipped = skipped_files(self.data_root)
        else:
            raise ValueError(
                f'{self.benchmark.name}: {self.data_root!r} is '
                f'neither a folder nor a .csv or .json file. '
                f'{self.benchmark.source}'
            )
        called = self._called(name for _, name, _ in found)
        names = self._class_order(set(called.values()))
        label = {name: i for i, name in enumerate(names)}
        items = [
            (part, Item(path, label[called[name]], called[name])) for path, name, part in found
        ]
        return self._divide(items, names), names

    def _called(self, found: Iterable[str]) -> dict[str, str]:
        return renamed(found, dict(self.benchmark.renames), self.data_root)

    def _rename_split(self, split: Split) -> Split:
        called = self._called(item.name for items in split for item in items)
        return Split(*([i._replace(name=called[i.name]) for i in items] for items in split))

    def _class_order(self, found: set) -> tuple[str, ...]:
        """The class names in label order, checked against the data."""
        check_names(sorted(found), self.data_root)
        # in the spelling of the data: a command line takes spaces away
        spelt = {plain_name(name): name for name in sorted(found)}
        names = tuple(
            spelt.get(plain_name(name), name) for name in self.benchmark.classes
        ) or tuple(sorted(found))
        unknown = sorted(found - set(names))
        empty = [name for name in names if name not in found]
        if unknown or empty:
            what = (
                f'the data have the class {unknown[0]!r}, which classes does not name'
                if unknown
                else f'the class {empty[0]!r} has no image'
            )
            raise ValueError(
                f'{self.benchmark.name}: {what}. classes: '
                f'{list(names)}; classes of {self.data_root!r}: '
                f'{sorted(found)}.'
            )
        if len(names) < 2:
            raise ValueError(
                f'{self.benchmark.name}: {self.data_root!r} has '
                f'{len(names)} class(es) {list(names)}; a '
                f'classifier needs at least 2. {self.remedy()}'
            )
        return names

    def _divide(self, items: list, names: Sequence[str]) -> Split:
        """The lists that the data name, or a division of all."""
        parts = {part for part, _ in items}
        if parts == {None}:
            self._divided = True
            all_items = [item for _, item in items]
            split = divide(all_items, self.benchmark.fractions or FRACTIONS)
            if not self.benchmark.draw_val:  # the test list is the same
                split = Split([*split.train, *split.val], [], split.test)
            return split
        if not {'train', 'test'} <= parts:
            raise ValueError(
                f'{self.benchmark.name}: {self.data_root!r} has no '
                f'{"test" if "train" in parts else "train"} images. '
                f'{self.remedy()}'
            )
        split = Split(*([item for p, item in items if p == part] for part in PARTS))
        trained = {item.label for item in split.train}
        for label, name in enumerate(names):
            if label not in trained:
                raise ValueError(
                    f'{self.benchmark.name}: the class {name!r} '
                    f'of {self.data_root!r} has no train image.'
                )
        return split
