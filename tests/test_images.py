"""Unusual image files: decoded right, or refused by name, never half read."""

import os
import signal
import struct
import time
import zlib

import numpy as np
import pytest
from PIL import Image

from mmdpt.datasets import LoadPILImage, read_image
from mmdpt.datasets.looks import look_at, read_all

NOISE = np.random.default_rng(0).integers(0, 256, (12, 20, 3), np.uint8)


def rgb(path, **kwargs):
    return read_image(str(path), **kwargs)[..., ::-1]


def exif(orientation):
    data = Image.Exif()
    data[0x0112] = orientation
    return data


@pytest.mark.parametrize(
    'mode, suffix',
    [
        ('CMYK', 'jpg'),
        ('CMYK', 'tif'),
        ('L', 'png'),
        ('1', 'png'),
        ('LA', 'png'),
        ('RGBA', 'png'),
        ('RGBA', 'webp'),
        ('P', 'png'),
        ('P', 'gif'),
        ('YCbCr', 'jpg'),
        ('RGB', 'bmp'),
    ],
)
def test_modes_equal_the_reference(tmp_path, mode, suffix):
    path = tmp_path / f'image.{suffix}'
    Image.fromarray(NOISE).convert(mode).save(path)
    assert np.array_equal(rgb(path), np.asarray(Image.open(path).convert('RGB')))
    assert look_at(str(path), deep=True).bad == ''


@pytest.mark.filterwarnings('ignore:Palette images')
def test_palette_with_transparency(tmp_path):
    """Unlike in the reference, the colours under it do not show."""
    path = tmp_path / 'image.png'
    Image.fromarray(NOISE).convert('P').save(path, transparency=bytes(range(256)))
    assert 'transparency' in Image.open(path).info
    pixels = np.asarray(Image.open(path).convert('RGBA')).astype(float)
    opaque = pixels[..., 3:] / 255
    assert np.abs(rgb(path) - (pixels[..., :3] * opaque + 255 * (1 - opaque))).max() <= 1


@pytest.mark.parametrize('suffix', ['png', 'tif'])
def test_16_bits_are_scaled(tmp_path, suffix):
    values = np.array([[0, 255, 256], [32768, 65535, 51400]], np.uint16)
    path = tmp_path / f'image.{suffix}'
    Image.fromarray(values).save(path)
    assert np.array_equal(rgb(path)[..., 0], values >> 8) and rgb(path).shape == (2, 3, 3)


@pytest.mark.parametrize('suffix', ['gif', 'webp', 'png'])
def test_animation_gives_the_first_frame(tmp_path, suffix):
    path = tmp_path / f'image.{suffix}'
    frames = [Image.new('RGB', (16, 8), colour) for colour in ('red', 'lime', 'blue')]
    frames[0].save(path, save_all=True, append_images=frames[1:])
    assert Image.open(path).n_frames == 3
    assert np.abs(rgb(path).astype(int) - (255, 0, 0)).max() <= 2


def test_orientation(tmp_path):
    """Ignored as by the reference; upright on request."""
    path = tmp_path / 'image.png'
    Image.fromarray(NOISE).save(path, exif=exif(6))
    assert np.array_equal(rgb(path), NOISE)
    assert np.array_equal(rgb(path, upright=True), np.rot90(NOISE, -1))
    loaded = LoadPILImage(upright=True)(dict(img_path=str(path)))
    assert loaded['img_shape'] == (20, 12) and 'upright' in repr(LoadPILImage(upright=True))


def test_wrong_extension(tmp_path):
    path = tmp_path / 'image.jpg'
    Image.fromarray(NOISE).save(path, format='png')
    assert np.array_equal(rgb(path), NOISE)


@pytest.mark.parametrize('size', [(1, 1), (20000, 40), (20000, 500)])
def test_sizes(tmp_path, size, recwarn):
    path = tmp_path / 'image.png'
    Image.new('RGB', size, 'red').save(path, compress_level=1)
    assert rgb(path).shape == (size[1], size[0], 3)
    assert look_at(str(path), deep=False).bad == '' and not recwarn.list


def claims(width, height):
    """bytes: A PNG of a few bytes that says it is large."""

    def chunk(name, data):
        return (
            struct.pack('>I', len(data)) + name + data + struct.pack('>I', zlib.crc32(name + data))
        )

    head = struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0)
    return (
        b'\x89PNG\r\n\x1a\n'
        + chunk(b'IHDR', head)
        + chunk(b'IDAT', zlib.compress(b''))
        + chunk(b'IEND', b'')
    )


def jpeg(tmp_path):
    Image.fromarray(NOISE).save(tmp_path / 'whole.jpg')
    return (tmp_path / 'whole.jpg').read_bytes()


@pytest.mark.parametrize(
    'kind, words',
    [
        ('truncated', 'does not decode .*truncated.*replace it with an intact copy'),
        ('empty', 'does not decode .the file is empty.'),
        ('text', 'unknown format'),
        ('bomb', 'is too large .*Make it smaller'),
        ('strip', '20000 x 1 pixels.*crop it'),
        ('float', 'convert it to 8 bits'),
        ('deep', '32 bits per pixel'),
    ],
)
def test_refused_by_name(tmp_path, kind, words):
    path = tmp_path / 'photo.tif'
    if kind in ('float', 'deep'):
        pixels = np.full((4, 4), 1e6, np.float32 if kind == 'float' else np.int32)
        Image.fromarray(pixels).save(path)
    elif kind == 'strip':
        Image.new('RGB', (20000, 1)).save(path)
    else:
        path.write_bytes(
            dict(
                truncated=jpeg(tmp_path)[:-60],
                empty=b'',
                text=b'<html>not found</html>',
                bomb=claims(20000, 20000),
            )[kind]
        )
    with pytest.raises(ValueError, match=f'photo.tif.*{words}'):
        read_image(str(path))
    assert str(path) in look_at(str(path), deep=True).bad


def test_cut_at_any_length(tmp_path):
    """Whole or refused, never gray below a line."""
    whole, path = jpeg(tmp_path), tmp_path / 'photo.jpg'
    for length in range(0, len(whole) - 2, 37):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match='photo.jpg'):
            read_image(str(path))


def test_killed_reader_ends_the_check(tmp_path, monkeypatch):
    from concurrent.futures.process import BrokenProcessPool

    from mmdpt.datasets import looks

    monkeypatch.setattr(looks, 'read_picture', lambda path: os.kill(os.getpid(), signal.SIGKILL))
    began = time.time()
    with pytest.raises(BrokenProcessPool):
        list(read_all([str(tmp_path / 'x.jpg')], True, 1))
    assert time.time() - began < 30
