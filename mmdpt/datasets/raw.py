"""Splits made from the raw data, where there is no split file.

The proportions and the renamings are those of the public benchmark's code,
which shuffles without a fixed seed; here the images are sorted first and the
seed is fixed, so that the same data give the same split everywhere. It is
not the published split.
"""

import json
import os.path as osp
import random
import re

from .descriptions import FRACTIONS
from .index import class_folders, image_names
from .layouts import Layout
from .own_files import divide
from .sampling import group_by_label
from .split_files import Item, Split, check_classes, read_text

VAL_SHARE = 0.2  # of the official training list, where there is one
RENAMED = dict(
    Caltech101=dict(airplanes='airplane', Faces='face', Leopards='leopard', Motorbikes='motorbike'),
    EuroSAT=dict(
        AnnualCrop='Annual Crop Land',
        Forest='Forest',
        HerbaceousVegetation='Herbaceous Vegetation Land',
        Highway='Highway or Road',
        Industrial='Industrial Buildings',
        Pasture='Pasture Land',
        PermanentCrop='Permanent Crop Land',
        Residential='Residential Buildings',
        River='River',
        SeaLake='Sea or Lake',
    ),
)
IGNORED = dict(Caltech101=('BACKGROUND_Google', 'Faces_easy'))


def make_split(layout: Layout, seed: int = 1) -> Split:
    """Make a benchmark's split from its raw folder.

    Args:
        layout (Layout): Of a benchmark with a split file.
        seed (int): Of the shuffling. Defaults to 1.

    Returns:
        Split: 50 % train, 20 % val, 30 % test of each class; or, where the
        data come with a test list, that one, and 20 % of the training list
        as val.

    Raises:
        FileNotFoundError: If a raw file is missing.
        ValueError: If the benchmark has no split file, or a raw file is
            malformed.
    """
    name = layout.benchmark.name
    if name not in RAW:
        raise ValueError(f'{name} needs no split file; splits can be made of {", ".join(RAW)}.')
    if not osp.isdir(layout.folder):
        layout.check()
    for path in (layout.images, *map(layout.path, RAW[name][1])):
        if not osp.exists(path):
            raise FileNotFoundError(
                f'To make a split of {name}, {path!r} is needed. {layout.benchmark.source}'
            )
    split = RAW[name][0](layout, seed)
    check_classes(split, layout.folder, layout.benchmark.classes or None)
    return split


def split_trainval(items: list[Item], seed: int) -> tuple[list, list]:
    """Set aside a fifth of each class's training images for validation."""
    generator, train, val = random.Random(seed), [], []
    for same in group_by_label(sorted(items)).values():
        generator.shuffle(same)
        number = max(round(len(same) * VAL_SHARE), 1)
        val += same[:number]
        train += same[number:]
    return train, val


def from_folders(layout: Layout, seed: int) -> Split:
    """One folder per class."""
    name = layout.benchmark.name
    folders = [f for f in class_folders(layout.images) if f not in IGNORED.get(name, ())]
    rename: dict[str, str] = RENAMED.get(name, {})
    items = [
        Item(f'{folder}/{image}', label, rename.get(folder, folder))
        for label, folder in enumerate(folders)
        for image in image_names(osp.join(layout.images, folder))
    ]
    return divide(items, FRACTIONS, seed)


def from_pets(layout: Layout, seed: int) -> Split:
    """Lines of image, label from 1, species, breed number."""

    def read(part):
        items = []
        for line in read_text(layout.path(f'annotations/{part}.txt')):
            image, label = line.split()[:2]
            breed = image.rsplit('_', 1)[0].lower()
            items.append(Item(f'{image}.jpg', int(label) - 1, breed))
        return items

    train, val = split_trainval(read('trainval'), seed)
    return Split(train, val, read('test'))


def from_cars(layout: Layout, seed: int) -> Split:
    """MATLAB files; the year comes first in the class names."""
    from scipy.io import loadmat

    meta = loadmat(layout.path('devkit/cars_meta.mat'))['class_names'][0]
    names = []
    for entry in meta:
        *words, year = str(entry[0]).split(' ')
        names.append(' '.join([year, *words]))

    def read(folder, file):
        notes = loadmat(layout.path(file))['annotations'][0]
        return [
            Item(
                f'{folder}/{note["fname"][0]}',
                int(note['class'][0, 0]) - 1,
                names[int(note['class'][0, 0]) - 1],
            )
            for note in notes
        ]

    train, val = split_trainval(read('cars_train', 'devkit/cars_train_annos.mat'), seed)
    return Split(train, val, read('cars_test', 'cars_test_annos_withlabels.mat'))


def from_flowers(layout: Layout, seed: int) -> Split:
    """A MATLAB file of labels from 1, and their names in JSON."""
    from scipy.io import loadmat

    labels = loadmat(layout.path('imagelabels.mat'))['labels'][0]
    with open(layout.path('cat_to_name.json'), encoding='utf-8') as file:
        names = json.load(file)
    items = [
        Item(f'image_{i:05d}.jpg', int(label) - 1, names[str(int(label))])
        for i, label in enumerate(labels, 1)
    ]
    return divide(items, FRACTIONS, seed)


def from_sun(layout: Layout, seed: int) -> Split:
    """Lines such as /a/apartment_building/outdoor/sun_x.jpg; words like
    outdoor come first in the class names."""
    classes = [line[1:] for line in read_text(layout.path('ClassName.txt'))]
    label = {name: i for i, name in enumerate(classes)}

    def read(part):
        items = []
        for line in read_text(layout.path(f'{part}_01.txt')):
            path = line[1:]
            folder = osp.dirname(path)
            if folder not in label:
                raise ValueError(
                    f'{part}_01.txt of {layout.folder!r} names '
                    f'{line!r}, whose class is not in '
                    'ClassName.txt.'
                )
            name = ' '.join(reversed(folder.split('/')[1:]))
            items.append(Item(path, label[folder], name))
        return items

    train, val = split_trainval(read('Training'), seed)
    return Split(train, val, read('Testing'))


def from_ucf(layout: Layout, seed: int) -> Split:
    """Lists of videos, whose middle frames are there."""
    lines = read_text(layout.path('ucfTrainTestlist/classInd.txt'))
    label = {name: int(i) - 1 for i, name in map(str.split, lines)}

    def read(part):
        items = []
        for line in read_text(layout.path(f'ucfTrainTestlist/{part}list01.txt')):
            action, video = line.split()[0].split('/')
            name = '_'.join(re.findall('[A-Z][^A-Z]*', action))
            image = video.replace('.avi', '.jpg')
            items.append(Item(f'{name}/{image}', label[action], name))
        return items

    train, val = split_trainval(read('train'), seed)
    return Split(train, val, read('test'))


RAW = dict(  # how, and from which files besides the images
    Caltech101=(from_folders, ()),
    Food101=(from_folders, ()),
    DTD=(from_folders, ()),
    EuroSAT=(from_folders, ()),
    OxfordPets=(from_pets, ('annotations/trainval.txt', 'annotations/test.txt')),
    StanfordCars=(
        from_cars,
        ('devkit/cars_meta.mat', 'devkit/cars_train_annos.mat', 'cars_test_annos_withlabels.mat'),
    ),
    Flowers102=(from_flowers, ('imagelabels.mat', 'cat_to_name.json')),
    SUN397=(from_sun, ('ClassName.txt', 'Training_01.txt', 'Testing_01.txt')),
    UCF101=(
        from_ucf,
        (
            'ucfTrainTestlist/classInd.txt',
            'ucfTrainTestlist/trainlist01.txt',
            'ucfTrainTestlist/testlist01.txt',
        ),
    ),
)
