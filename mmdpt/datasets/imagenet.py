"""ImageNet and its variants: class folders and ``classnames.txt``."""

import os.path as osp
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

from .index import class_folders, image_names, list_images
from .layouts import Layout, layout
from .split_files import Item, Split, read_text

NAMES = 'classnames.txt'


def read_classnames(path: str) -> dict[str, str]:
    """Read lines of synset, space, class name.

    Returns:
        dict[str, str]: Class name by synset, in sorted order of the synsets,
        which is the order of the labels. Names may occur twice: ImageNet's
        do, and the public benchmark keeps them.

    Raises:
        ValueError: If a line has another form or a synset occurs twice.
    """
    names = {}
    for number, line in enumerate(read_text(path), 1):
        synset, _, name = line.partition(' ')
        if not name.strip():
            raise ValueError(
                f'Line {number} of {path!r} is {line!r}, expected'
                ' SYNSET NAME, such as "n01440764 tench".'
            )
        if synset in names:
            raise ValueError(f'Line {number} of {path!r} names {synset} a second time.')
        names[synset] = name.strip()
    return dict(sorted(names.items()))


class FolderItems(Sequence):
    """The images of class folders as a list of :class:`Item`.

    The items are made when they are asked for: ImageNet has 1.28 million, of
    which few are drawn.

    Args:
        classes (list): (what the paths start with, label, class name, file
            names) in label order.
    """

    def __init__(self, classes: list[tuple]) -> None:
        self.classes = classes
        self._ends = list(accumulate(len(files) for *_, files in classes))

    def __len__(self):
        return self._ends[-1] if self._ends else 0

    def __getitem__(self, i: int) -> Item:  # type: ignore[override]
        i = range(len(self))[i]
        place = bisect_right(self._ends, i)
        folder, label, name, files = self.classes[place]
        # from the end of the class's files
        return Item(folder + files[i - self._ends[place]], label, name)

    def __iter__(self):
        for folder, label, name, files in self.classes:
            for file in files:
                yield Item(folder + file, label, name)

    def groups(self) -> dict[int, 'FolderItems']:
        """The items of each label."""
        return {one[1]: FolderItems([one]) for one in self.classes}


class ImageFolders(Layout):
    """Base of ImageNet's layouts."""

    def wanted(self):
        return [f'{self.benchmark.image_dir}/', NAMES]

    def path(self, name):
        """The variants may use ImageNet's classnames.txt."""
        own = super().path(name)
        shared = osp.join(self.data_root, 'imagenet', NAMES)
        if name == NAMES and not osp.isfile(own) and osp.isfile(shared):
            return shared
        return own

    def synsets(self) -> dict[str, str]:
        """Class name by synset, in label order."""
        self.check(only_files=True)
        return read_classnames(self.path(NAMES))

    def folder_names(self, folder: str, wanted: list[str]) -> None:
        """Refuse a folder whose class folders are not the wanted ones."""
        found = class_folders(folder)
        missing = [name for name in wanted if name not in set(found)]
        extra = [name for name in found if name not in set(wanted)]
        if not found and image_names(folder):
            raise ValueError(
                f'{self.benchmark.name}: {folder!r} holds images, but no '
                'class folders: sort them into one folder per synset, as '
                "valprep.sh does for ImageNet's validation images."
            )
        if missing or extra:
            what = (
                (
                    f'{len(missing)} class folder(s) of {len(wanted)} are '
                    f'missing, the first is {missing[0]!r}'
                )
                if missing
                else (
                    f'{len(extra)} class folder(s) are not in '
                    f'{self.path(NAMES)!r}, the first is {extra[0]!r}'
                )
            )
            raise ValueError(
                f'{self.benchmark.name}: in {folder!r}, {what}. {self.benchmark.source}'
            )

    def items(self, prefix: str, folders: dict[str, str], index: bool = False) -> FolderItems:
        """All images, in sorted order of class folders and file names.

        Args:
            prefix (str): The folder of the class folders, under the image
                folder.
            folders (dict[str, str]): Class name by class folder.
            index (bool): Keep the listing in an index file.
        """
        folder = osp.join(self.images, prefix)
        file = osp.join(self.folder, f'mmdpt_index_{prefix}.json')
        listing = list_images(folder, list(folders), file if index else None)
        empty = [name for name, images in listing.items() if not images]
        if empty:
            raise ValueError(
                f'{self.benchmark.name}: the class folder '
                f'{osp.join(folder, empty[0])!r} has no image. '
                f'{self.benchmark.source}'
            )
        start = f'{prefix}/' if prefix else ''
        return FolderItems(
            [
                (f'{start}{synset}/', label, name, listing[synset])
                for label, (synset, name) in enumerate(folders.items())
            ]
        )


@layout('imagenet')
class ImageNetLayout(ImageFolders):
    """``images/{train,val}/SYNSET/``; the val images are the test list, and
    double as the val list."""

    val_is_test = True

    def wanted(self):
        return ['images/train/', 'images/val/', NAMES]

    def class_names(self):
        return tuple(self.synsets().values())

    def lists(self) -> Split:
        synsets = self.synsets()
        for part in ('train', 'val'):
            self.folder_names(osp.join(self.images, part), list(synsets))
        test = self.items('val', synsets, index=True)
        return Split(self.items('train', synsets, index=True), test, test)


@layout('imagenet_variant')
class VariantLayout(ImageFolders):
    """Class folders named by synset; the classes are those that are there.

    Labels count the folders in sorted order, so a variant of 200 classes has
    a label order of its own.
    """

    def class_names(self):
        return tuple(self._present().values())

    def _present(self) -> dict[str, str]:
        synsets = self.synsets()
        self.check()
        found = class_folders(self.images)
        number = self.benchmark.num_classes
        known = len(synsets) == 1000  # a whole classnames.txt
        if known and number and len(found) != number:
            raise ValueError(
                f'{self.benchmark.name}: {self.images!r} has {len(found)} '
                f'class folders, expected {number}. {self.benchmark.source}'
            )
        if not set(found) <= set(synsets):
            self.folder_names(self.images, [s for s in synsets if s in found])
        return {synset: synsets[synset] for synset in found}

    def lists(self) -> Split:
        return Split([], [], self.items('', self._present()))


@layout('imagenetv2')
class V2Layout(ImageFolders):
    """Class folders named by label, 0 to 999."""

    def class_names(self):
        return tuple(self.synsets().values())

    def lists(self) -> Split:
        names = self.class_names()
        folders = {str(label): name for label, name in enumerate(names)}
        self.folder_names(self.images, list(folders))
        return Split([], [], self.items('', folders))
