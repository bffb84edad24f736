"""Small trees in the documented layouts of the benchmarks."""

import io
import json
import shutil
import zlib

import numpy as np
from PIL import Image

from mmdpt.datasets import BENCHMARKS

SPLIT = [b.name for b in BENCHMARKS.values() if b.layout == 'split']
VARIANTS = ['ImageNetV2', 'ImageNetSketch', 'ImageNetA', 'ImageNetR']
DISK = [b.name for b in BENCHMARKS.values() if b.folder]
SYNSETS = {  # unsorted, as a file may be; two classes of one name
    'n03': 'crane',
    'n01': 'great white shark',
    'n02': 'sunglasses',
    'n04': 'sunglasses',
    'n05': "potter's wheel",
    'n06': 'T-shirt',
}
COUNTS = dict(train=3, val=2, test=2)  # images per class


def jpeg(seed=0):
    """The bytes of a small photo."""
    pixels = np.random.RandomState(seed).randint(0, 256, (12, 10, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, 'JPEG')
    return file.getvalue()


PHOTOS = [jpeg(i) for i in range(8)]


def put(path, number=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(PHOTOS[number % len(PHOTOS)])


def class_names(benchmark):
    return benchmark.classes or ('red_fox', 'Boeing 737-200', "St. John's", 'ox', '2012 Ram C/V')


def write_tree(root, name):
    """Write a benchmark's tree under ``root``; return its folder."""
    benchmark = BENCHMARKS[name]
    folder = root / benchmark.folder
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    write = {'split': write_split, 'fgvc': write_fgvc}.get(benchmark.layout, write_imagenet)
    write(folder, benchmark)
    return folder


def write_split(folder, benchmark):
    lists, number = dict(train=[], val=[], test=[]), 0
    for label, name in enumerate(class_names(benchmark)):
        for part, count in COUNTS.items():
            for _ in range(count):
                path = f'class_{label:03d}/{number}.jpg'
                put(folder / benchmark.image_dir / path, number)
                lists[part].append([path, label, name])
                number += 1
    (folder / benchmark.split_file).write_text(json.dumps(lists))


def write_fgvc(folder, benchmark):
    names, number, lists = class_names(benchmark), 0, {}
    for name in names:
        for part, count in COUNTS.items():
            for _ in range(count):
                put(folder / f'images/{number:07d}.jpg', number)
                lists.setdefault(part, []).append(f'{number:07d} {name}')
                number += 1
    (folder / 'variants.txt').write_text('\n'.join(names) + '\n')
    for part, lines in lists.items():
        (folder / f'images_variant_{part}.txt').write_text('\n'.join(lines))


def write_imagenet(folder, benchmark):
    (folder / 'classnames.txt').write_text(''.join(f'{s} {n}\n' for s, n in SYNSETS.items()))
    images = folder / benchmark.image_dir
    if benchmark.name == 'ImageNet':
        for i, synset in enumerate(SYNSETS):
            for n in range(6):
                put(images / f'train/{synset}/{synset}_{n}.JPEG', i + n)
            for n in range(2):
                put(images / f'val/{synset}/val_{n}.JPEG', i + n)
        return
    folders = (
        [str(i) for i in range(6)]
        if benchmark.name == 'ImageNetV2'
        else ['n05', 'n02', 'n01']
        if benchmark.name in ('ImageNetA', 'ImageNetR')
        else list(SYNSETS)
    )
    for i, name in enumerate(folders):
        for n in range(2):
            put(images / name / f'{n}.jpeg', i + n)
    if benchmark.name in ('ImageNetA', 'ImageNetR'):
        (images / 'README.txt').write_text('about')


def write_photos(folder, classes=('cup', 'big plate', 'fork'), count=10):
    """Own photos: one folder a class; no two are the same, whatever the folder."""
    for name in classes:
        for i in range(count):
            path = folder / name / f'{i}.jpg'
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(jpeg(zlib.crc32(f'{folder.name} {name} {i}'.encode())))
    return folder
