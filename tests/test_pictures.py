"""One opener for all pictures: known formats, regular files, transparent parts."""

import io
import os
import socket
import subprocess
import sys

import numpy as np
import pytest
from helpers.trees import write_photos
from mmengine.config import Config
from PIL import Image

from mmdpt.datasets import LoadPILImage, get_layout, own_benchmark, read_image
from mmdpt.datasets.doctor import check_dataset
from mmdpt.datasets.looks import look_at
from mmdpt.datasets.pictures import FORMATS, as_rgb, background_of, colour
from mmdpt.datasets.shared import share_dataset
from mmdpt.demo import read_photo

NOISE = np.random.default_rng(0).integers(0, 256, (12, 20, 3), np.uint8)
ALPHA = np.random.default_rng(1).integers(0, 256, (12, 20), np.uint8)
EPS = b"""%!PS-Adobe-3.0 EPSF-3.0
%%BoundingBox: 0 0 10 10
%%EndComments
showpage
%%EOF
"""


def rgb(path, **kwargs):
    return read_image(str(path), **kwargs)[..., ::-1]


def refusals(path):
    """What each way to a picture says."""
    path = str(path)
    found = [look_at(path, deep).bad for deep in (False, True)]
    for read in (read_image, lambda p: LoadPILImage()(dict(img_path=p)), read_photo):
        with pytest.raises(ValueError) as error:
            read(path)
        found.append(str(error.value))
    return found


# before and after: the reference, which is what the opener did before


@pytest.mark.parametrize('suffix', ['jpg', 'png', 'webp', 'bmp', 'gif', 'tif', 'ppm'])
@pytest.mark.parametrize('orientation', [None, 1, 3, 6, 8])
def test_opaque_pictures_are_bit_identical(tmp_path, suffix, orientation):
    path, kwargs = tmp_path / f'a.{suffix}', {}
    if orientation and suffix in ('jpg', 'png', 'webp', 'tif'):
        kwargs['exif'] = Image.Exif()
        kwargs['exif'][0x0112] = orientation
    Image.fromarray(NOISE).save(path, **kwargs)
    with Image.open(path) as image:
        assert np.array_equal(rgb(path), np.asarray(image.convert('RGB')))
        from PIL import ImageOps

        turned = ImageOps.exif_transpose(image).convert('RGB')
    assert np.array_equal(rgb(path, upright=True), np.asarray(turned))


@pytest.mark.parametrize('mode', ['RGBA', 'LA', 'P', 'L', '1', 'CMYK'])
def test_opaque_alpha_changes_nothing(tmp_path, mode):
    path = tmp_path / ('a.tif' if mode == 'CMYK' else 'a.png')
    Image.fromarray(NOISE).convert(mode).save(path)
    with Image.open(path) as image:
        expected = np.asarray(image.convert('RGB'))
    assert np.array_equal(rgb(path, background=(9, 9, 9)), expected)


# formats and kinds of files


@pytest.mark.parametrize('name', ['a.jpg', 'a.eps', 'a.png'])
def test_eps_starts_nothing(tmp_path, monkeypatch, name):
    def started(*args, **kwargs):
        raise AssertionError(f'started {args}')

    monkeypatch.setattr(subprocess, 'Popen', started)
    monkeypatch.setattr(os, 'system', started)
    path = tmp_path / name
    path.write_bytes(EPS)
    with Image.open(path) as image:  # the test means what it says
        assert image.format == 'EPS'
    for text in refusals(path):
        assert 'unknown format' in text or 'cannot' in text or 'not a photo' in text


@pytest.mark.parametrize('kind', ['ICO', 'TGA', 'PCX', 'SGI', 'PDF', 'ICNS', 'JPEG2000', 'DDS'])
def test_other_formats_are_refused(tmp_path, kind):
    path = tmp_path / 'a.jpg'
    Image.fromarray(NOISE).resize((32, 32)).save(path, format=kind)
    assert kind not in FORMATS
    refusals(path)


@pytest.mark.parametrize('kind', ['pipe', 'device', 'socket', 'folder', 'link to a pipe'])
def test_only_regular_files_are_opened(tmp_path, monkeypatch, kind):
    path = tmp_path / 'a.png'
    server = socket.socket(socket.AF_UNIX)
    if kind == 'pipe':
        os.mkfifo(path)
    elif kind == 'device':
        path.symlink_to('/dev/zero')
    elif kind == 'socket':
        monkeypatch.chdir(tmp_path)  # a socket's path must be short
        server.bind('a.png')
    elif kind == 'folder':
        path.mkdir()
    else:
        os.mkfifo(tmp_path / 'pipe')
        path.symlink_to(tmp_path / 'pipe')
    for text in refusals(path):
        assert f'is a {"named pipe" if "pipe" in kind else kind}' in text
    server.close()


def test_name_chooses_no_backend(tmp_path, monkeypatch):
    """MMEngine would fetch what follows "x:http://"."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match='does not exist'):
        read_image('x:http://localhost/a.png')


def test_huge_file(tmp_path):
    path = tmp_path / 'a.png'
    with open(path, 'wb') as file:
        file.truncate(2**40)
    for text in refusals(path):
        assert '1048576 MiB' in text


def test_pixel_limit_is_our_own(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', None)
    path = tmp_path / 'a.png'
    Image.new('1', (20000, 10000)).save(path)
    for text in refusals(path):
        assert 'too large' in text or 'million' in text


# transparent parts


def over(background, colours=NOISE, alpha=ALPHA):
    a = alpha[..., None] / 255
    return colours * a + np.array(background) * (1 - a)


@pytest.mark.parametrize('suffix', ['png', 'tif', 'webp'])
@pytest.mark.parametrize('background', [(255, 255, 255), (0, 0, 0), (10, 200, 30)])
def test_transparent_parts_show_the_background(tmp_path, suffix, background):
    path = tmp_path / f'a.{suffix}'
    kwargs = dict(lossless=True, exact=True) if suffix == 'webp' else {}
    Image.fromarray(np.dstack([NOISE, ALPHA])).save(path, **kwargs)
    found = rgb(path, background=background)
    assert np.abs(found - over(background)).max() <= 1
    assert np.array_equal(found[ALPHA == 255], NOISE[ALPHA == 255])
    clear = found[ALPHA == 0]
    assert len(clear) and (clear == background).all()


@pytest.mark.filterwarnings('ignore:Palette images')
@pytest.mark.parametrize('form', ['palette', 'index', 'gray', 'key', 'gray key', 'one bit', 'gif'])
def test_every_form_of_transparency(tmp_path, form):
    """Halves: the left opaque red or black, the right hidden green or white."""
    pixels = np.zeros((8, 8, 3), np.uint8)
    pixels[:, :4], pixels[:, 4:] = (255, 0, 0), (0, 255, 0)
    gray = np.zeros((8, 8), np.uint8)
    gray[:, 4:] = 255
    path = tmp_path / ('a.gif' if form == 'gif' else 'a.png')
    image, kwargs = Image.fromarray(pixels), {}
    if form in ('palette', 'index', 'gif'):
        image = image.quantize(2)
        hidden = image.getpixel((7, 0))
        kwargs['transparency'] = hidden if form != 'palette' else bytes(
            0 if i == hidden else 255 for i in range(2)
        )  # fmt: skip
    elif form == 'gray':
        image = Image.merge('LA', [Image.fromarray(gray), Image.fromarray(255 - gray)])
    elif form == 'key':
        kwargs['transparency'] = (0, 255, 0)
    else:
        image = Image.fromarray(gray).convert('1' if form == 'one bit' else 'L')
        kwargs['transparency'] = 1 if form == 'one bit' else 255
    image.save(path, **kwargs)
    left = (255, 0, 0) if form in ('palette', 'index', 'key', 'gif') else (0, 0, 0)
    found = rgb(path, background=(1, 2, 3))
    assert (found[:, :4] == left).all() and (found[:, 4:] == (1, 2, 3)).all()


def chunked(width, height, depth, kind, data, key):
    """bytes: A PNG with a transparent colour."""
    import struct
    import zlib

    def chunk(name, body):
        return (
            struct.pack('>I', len(body)) + name + body + struct.pack('>I', zlib.crc32(name + body))
        )

    head = struct.pack('>IIBBBBB', width, height, depth, kind, 0, 0, 0)
    return (
        b'\x89PNG\r\n\x1a\n'
        + chunk(b'IHDR', head)
        + chunk(b'tRNS', key)
        + chunk(b'IDAT', zlib.compress(data))
        + chunk(b'IEND', b'')
    )


@pytest.mark.parametrize(
    'depth, kind, data, key',
    [
        (2, 0, b'\x00\x40', b'\x00\x01'),  # 1, 0
        (4, 0, b'\x00\x70', b'\x00\x07'),
        (16, 0, b'\x00\x12\x34\x00\x00', b'\x12\x34'),
        (16, 2, b'\x00\x12\x34\x56\x78\x9a\xbc' + bytes(6), b'\x12\x34\x56\x78\x9a\xbc'),
    ],
)
def test_key_of_other_depths(tmp_path, depth, kind, data, key):
    path = tmp_path / 'a.png'
    path.write_bytes(chunked(2, 1, depth, kind, data, key))
    assert rgb(path, background=(1, 2, 3)).tolist() == [[[1, 2, 3], [0, 0, 0]]]


def test_transparent_and_turned(tmp_path):
    path, turned = tmp_path / 'a.png', Image.Exif()
    turned[0x0112] = 6
    Image.fromarray(np.dstack([NOISE, ALPHA])).save(path, exif=turned)
    assert np.array_equal(rgb(path, upright=True), np.rot90(rgb(path), -1))


def test_said_once_for_all_processes(tmp_path):
    code = """
import sys
from PIL import Image
from torch.utils.data import DataLoader
from mmdpt.datasets import read_image
paths = [f'{sys.argv[1]}/{i}.png' for i in range(6)]
for path in paths:
    Image.new('RGBA', (4, 4), (9, 9, 9, 0)).save(path)
assert len(list(DataLoader([0] * 6, collate_fn=lambda i: read_image(paths[0]), num_workers=2))) == 6
read_image(paths[1])
"""
    done = subprocess.run(
        [sys.executable, '-c', code, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert (done.stdout + done.stderr).count('transparent parts') == 1


@pytest.mark.parametrize(
    'value', ['nocolour', '#12345', [1, 2], [1, 2, 256], [1.0, 2, 3], 7, 'x' * 999]
)
def test_background_that_is_none(value):
    with pytest.raises(ValueError, match='no colour: give a name'):
        LoadPILImage(background=value)


def test_config_names_one_background_for_all(tmp_path):
    assert colour('black') == colour('#000') == colour([0, 0, 0]) == (0, 0, 0)
    steps = [dict(type='LoadPILImage'), dict(type='PackInputs')]
    loader = dict(dataset=dict(type='FewShotDataset', pipeline=steps))
    cfg = Config(
        dict(
            dataset=dict(name='EuroSAT', background='black'),
            train_dataloader=loader,
            test_dataloader=loader,
        )
    )
    share_dataset(cfg)
    for name in ('train_dataloader', 'test_dataloader'):
        assert background_of(cfg[name].dataset.pipeline) == (0, 0, 0)
    assert background_of(steps) == (255, 255, 255)


def test_page_and_api_as_training(tmp_path):
    path = tmp_path / 'a.png'
    Image.fromarray(np.dstack([NOISE, ALPHA])).save(path)
    for background in ((255, 255, 255), (0, 0, 0)):
        seen = LoadPILImage(background=background)(dict(img_path=str(path)))['img']
        assert np.array_equal(read_photo(str(path), background=background), seen)
        with Image.open(io.BytesIO(path.read_bytes())) as image:
            assert np.array_equal(np.asarray(as_rgb(image, True, background))[..., ::-1], seen)


def test_check_counts_transparent_pictures(tmp_path):
    folder = write_photos(tmp_path / 'photos')
    Image.fromarray(np.dstack([NOISE, ALPHA])).save(folder / 'cup/clear.png')
    Image.fromarray(np.dstack([NOISE, 0 * ALPHA + 255])).save(folder / 'cup/opaque.png')
    for deep, text in (
        (True, '1 images have transparent parts, which show dataset.background'),
        (False, '2 images may (--deep tells) show dataset.background'),
    ):
        findings = check_dataset(get_layout(own_benchmark(), str(folder)), deep=deep)
        assert [f for f in findings if f.note and text in f.text]
