"""The one place where image files are opened: formats, sizes, transparency."""

import mmap
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import BinaryIO

import numpy as np
from mmengine.logging import print_log
from PIL import Image, ImageColor, ImageOps

# Pillow knows more, some of which it hands to other programs (EPS).
FORMATS = ('JPEG', 'PNG', 'WEBP', 'BMP', 'GIF', 'TIFF', 'PPM')
MAX_BYTES = 2**30
MAX_PIXELS = 178_956_970  # Pillow's own limit, which a program may have taken away
WHITE = (255, 255, 255)

_said = mmap.mmap(-1, 1)  # shared with the processes that load: said once for all


@contextmanager
def opened(file: BinaryIO, pixels: float = MAX_PIXELS) -> Iterator[Image.Image]:
    """Open an image of a known format; only its header is read.

    Args:
        file (BinaryIO): The file, not its name: a name must not be resolved.
        pixels (float): The most that it may have.

    Raises:
        PIL.UnidentifiedImageError: If it has none of :data:`FORMATS`.
        PIL.Image.DecompressionBombError: If it has more pixels.
        Exception: Pillow raises nearly anything on damaged files.
    """
    with warnings.catch_warnings():
        # from half its limit on Pillow warns, without a name
        warnings.simplefilter('ignore', Image.DecompressionBombWarning)
        with Image.open(file, formats=FORMATS) as image:
            if image.width * image.height > pixels:
                raise Image.DecompressionBombError(
                    f'{image.width} x {image.height} pixels, {pixels / 1e6:.0f} million are the '
                    'most'
                )
            yield image


def as_rgb(
    image: Image.Image, upright: bool = False, background: Sequence[int] = WHITE
) -> Image.Image:
    """Eight bits a channel, RGB, transparent parts on a background.

    Args:
        image (PIL.Image.Image): Any image.
        upright (bool): Rotate as EXIF says.
        background (Sequence[int]): Red, green and blue, 0 to 255.

    Raises:
        ValueError: Where that would guess.
    """
    return flattened(image, upright, background)[0]


def flattened(
    image: Image.Image, upright: bool = False, background: Sequence[int] = WHITE
) -> tuple[Image.Image, bool]:
    """What :func:`as_rgb` gives, and whether there were transparent parts."""
    _scale_key(image)
    if upright:
        image = ImageOps.exif_transpose(image)
    if image.mode in ('La', 'RGBa'):  # colours times opacity
        image = image.convert(image.mode.upper())
    rgb = _eight_bits(image).convert('RGB')
    alpha = opacity(image)
    if alpha is None:
        return rgb, False
    if not _said[0]:
        _said[0] = 1
        print_log(
            f'There are pictures with transparent parts: they are put on {tuple(background)} '
            '(red, green, blue); dataset.background is another colour.',
            logger='current',
        )
    canvas = Image.new('RGB', image.size, tuple(background))
    canvas.paste(rgb, mask=alpha)
    return canvas, True


def opacity(image: Image.Image) -> Image.Image | None:
    """How opaque each pixel is, 0 to 255; None if all are opaque."""
    if not image.has_transparency_data:
        return None
    if image.mode.startswith('I'):
        # its key is one gray of 65536, for which convert() takes the lowest bits
        shown = np.asarray(image) != image.info['transparency']
        alpha = Image.fromarray(shown.astype(np.uint8) * 255)
    else:
        alpha = image.convert('RGBA').getchannel('A')
    return alpha if alpha.getextrema()[0] < 255 else None  # type: ignore[operator]


def _eight_bits(image: Image.Image) -> Image.Image:
    if image.mode == 'F':
        raise ValueError('fractions as pixels: convert it to 8 bits')
    if not image.mode.startswith('I'):
        return image
    pixels = np.asarray(image)  # 16 bits, or 16 in 32
    if pixels.min() < 0 or pixels.max() > 65535:
        raise ValueError('32 bits per pixel: convert it to 8')
    return Image.fromarray((pixels.astype(np.uint16) >> 8).astype(np.uint8))


def _scale_key(image: Image.Image) -> None:
    """Bring a PNG's transparent colour to the 8 bits of its pixels, as Pillow does not."""
    key, tile = image.info.get('transparency'), getattr(image, 'tile', None)
    if key is None or not tile or image.format != 'PNG':
        return
    bits = tile[0][3]
    if bits in ('L;2', 'L;4'):
        image.info['transparency'] = key * (85 if bits == 'L;2' else 17)
    elif bits == 'RGB;16B':
        image.info['transparency'] = tuple(part >> 8 for part in key)


def colour(value: str | Sequence[int]) -> tuple[int, int, int]:
    """A background from a config.

    Args:
        value (str | Sequence[int]): A name or number of a colour, such as
            'white' or '#808080'; or red, green and blue, 0 to 255.

    Raises:
        ValueError: If it is none.
    """
    try:
        found = ImageColor.getrgb(value) if isinstance(value, str) else tuple(value)
    except (ValueError, TypeError):
        found = ()
    if len(found) != 3 or not all(type(part) is int and 0 <= part <= 255 for part in found):
        raise ValueError(
            f'The background {str(value)[:40]!r} is no colour: give a name such as white, or '
            'red, green and blue as [255,255,255].'
        )
    return found  # type: ignore[return-value]


def background_of(pipeline: Sequence[dict]) -> tuple[int, int, int]:
    """On what a pipeline's loader puts transparent pictures.

    Args:
        pipeline (Sequence[dict]): Configs of transforms.
    """
    given = [s['background'] for s in pipeline or () if s.get('background') is not None]
    return colour(given[0]) if given else WHITE
