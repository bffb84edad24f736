"""Decoding and the test transform, against Pillow and the golden images."""

from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import Compose
from mmpretrain.registry import MODELS, TRANSFORMS
from PIL import Image

from mmdpt.datasets import read_image

ROOT = Path(__file__).parents[1]
GOLDEN = np.load(ROOT / 'tests/data/golden/preprocess.npz')
CONFIG = Config.fromfile(ROOT / 'configs/_base_/few_shot.py')


def pipeline(transforms):
    return Compose([TRANSFORMS.build(t) for t in transforms])


@pytest.mark.parametrize('index', range(6))
def test_config_reproduces_the_public_transform(tmp_path, index):
    path = tmp_path / 'image.png'
    Image.fromarray(GOLDEN[f'image_{index}']).save(path)
    packed = pipeline(CONFIG.test_pipeline)(dict(img_path=str(path)))
    crop = packed['inputs'].flip(0).permute(1, 2, 0).numpy()
    assert np.array_equal(crop, GOLDEN['crop_uint8'][index])

    preprocessor = MODELS.build(CONFIG.data_preprocessor)
    batch = dict(inputs=packed['inputs'][None], data_samples=[packed['data_samples']])
    out = preprocessor(batch)['inputs'][0]
    torch.testing.assert_close(out, torch.from_numpy(GOLDEN['out'][index]), atol=1e-6, rtol=2e-7)


def test_train_pipeline_gives_images_of_the_test_size(tmp_path):
    path = tmp_path / 'image.png'
    Image.fromarray(GOLDEN['image_0']).save(path)
    packed = pipeline(CONFIG.train_pipeline)(dict(img_path=str(path)))
    assert packed['inputs'].shape == (3, 224, 224)
    assert packed['inputs'].dtype == torch.uint8


def make_image(mode):
    pixels = Image.fromarray(GOLDEN['image_3'])
    if mode in ('RGBA', 'LA'):
        alpha = Image.linear_gradient('L').resize(pixels.size)
        pixels = pixels.convert(mode)
        pixels.putalpha(alpha)
        return pixels
    return pixels.convert(mode)


@pytest.mark.parametrize(
    'mode, ending',
    [
        ('RGB', 'png'),
        ('L', 'png'),
        ('P', 'png'),
        ('P', 'gif'),
        ('1', 'png'),
        ('CMYK', 'jpg'),
        ('L', 'jpg'),
        ('RGB', 'jpg'),
    ],
)
def test_decoding_equals_pillow(tmp_path, mode, ending):
    path = str(tmp_path / f'image.{ending}')
    make_image(mode).save(path)
    expected = np.asarray(Image.open(path).convert('RGB'))
    assert np.array_equal(read_image(path)[..., ::-1], expected)


def test_exif_rotation_is_ignored(tmp_path):
    path = str(tmp_path / 'image.jpg')
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown rotated by 90 degrees
    Image.fromarray(GOLDEN['image_3']).save(path, exif=exif)
    assert read_image(path).shape == GOLDEN['image_3'].shape == (8, 9, 3)


def test_missing_image_is_named():
    with pytest.raises(FileNotFoundError, match='no/such.png'):
        read_image('no/such.png')
