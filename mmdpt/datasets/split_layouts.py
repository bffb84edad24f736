"""Layouts with lists in files: split files, FGVC-Aircraft's text files."""

from .layouts import Layout, layout
from .split_files import Item, Split, check_classes, check_paths, read_split, read_text


@layout('split')
class SplitLayout(Layout):
    """An image folder and a split file."""

    def wanted(self):
        names = [self.benchmark.image_dir + '/'] if self.benchmark.image_dir else []
        return names + [self.benchmark.split_file]

    def extra_remedy(self, kind):
        return (
            (
                ' Without it, tools/make_split.py '
                f'{self.benchmark.name} makes another one from the raw '
                'images.'
            )
            if kind == 'split file'
            else ''
        )

    def lists(self) -> Split:
        path = self.path(self.benchmark.split_file)
        # what was read for the class names is not kept longer than needed
        split = self.__dict__.pop('_split', None) or read_split(path)
        check_classes(split, path, self.benchmark.classes or None)
        check_paths(split, path)
        return split

    def class_names(self):
        if self.benchmark.classes:
            return self.benchmark.classes
        self.check(only_files=True)
        path = self.path(self.benchmark.split_file)
        self._split = read_split(path)
        return check_classes(self._split, path)


@layout('fgvc')
class FGVCLayout(Layout):
    """FGVC-Aircraft's own text files; the classes are the variants."""

    def wanted(self):
        return ['images/', 'variants.txt'] + [
            f'images_variant_{part}.txt' for part in Split._fields
        ]

    def class_names(self):
        if self.benchmark.classes:
            return self.benchmark.classes
        self.check(only_files=True)
        return tuple(read_text(self.path('variants.txt')))

    def lists(self) -> Split:
        label = {name: i for i, name in enumerate(self.class_names())}
        split = Split(*(self._list(part, label) for part in Split._fields))
        check_classes(split, self.path('images_variant_train.txt'), tuple(label))
        check_paths(split, self.folder)
        return split

    def _list(self, part: str, label: dict) -> list[Item]:
        path, items = self.path(f'images_variant_{part}.txt'), []
        for number, line in enumerate(read_text(path), 1):
            image, _, name = line.partition(' ')
            if name not in label:
                raise ValueError(
                    f'Line {number} of {path!r} is {line!r}: {name!r} is not '
                    'in variants.txt; expected IMAGE VARIANT. '
                    f'{self.benchmark.source}'
                )
            items.append(Item(f'{image}.jpg', label[name], name))
        return items


@layout('none')
class NoLayout(Layout):
    """A benchmark without files, such as the digits."""

    def wanted(self):
        return []

    def class_names(self):
        return self.benchmark.classes

    def lists(self):
        raise ValueError(f"{self.benchmark.name} has no files: use dataset type='DigitsDataset'.")
