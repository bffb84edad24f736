"""A benchmark of three classes on disk, for the tests of the datasets."""

import json

import numpy as np
from PIL import Image

from mmdpt.datasets import Benchmark

CLASSES = ('ant', 'bee', 'cat')
TINY = Benchmark(
    'Tiny', CLASSES, ('a {}.',), 'tiny', 'images', 'split.json', source='Download it from nowhere.'
)
RANDOM_CROP = [
    dict(type='LoadPILImage'),
    dict(type='RandomResizedCrop', scale=8, backend='pillow'),
    dict(type='PackInputs'),
]


def write_tiny_benchmark(tmp_path):
    """Writes ten train, five val and three test images per class."""
    folder = tmp_path / 'tiny'
    split = dict(train=[], val=[], test=[])
    noise = np.random.RandomState(0)
    for label, name in enumerate(CLASSES):
        (folder / 'images' / name).mkdir(parents=True)
        for i in range(18):
            path = f'{name}/{i}.png'
            pixels = noise.randint(0, 256, (12, 10, 3), np.uint8)
            Image.fromarray(pixels).save(folder / 'images' / path)
            key = 'train' if i < 10 else 'val' if i < 15 else 'test'
            split[key].append([path, label, name])
    for items in split.values():
        noise.shuffle(items)
    (folder / 'split.json').write_text(json.dumps(split))
    return tmp_path


def paths_of(dataset):
    root = dataset.folder + '/images/'
    return [dataset.get_data_info(i)['img_path'].replace(root, '') for i in range(len(dataset))]
