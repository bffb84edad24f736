"""What comes from the page is checked before anything is computed with it."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, UnidentifiedImageError

from mmdpt.datasets import repeated
from mmdpt.datasets.pictures import MAX_BYTES, WHITE, opened
from mmdpt.datasets.transforms import read_image
from mmdpt.utils.files import open_regular


class Limits(NamedTuple):
    """The most that the page accepts."""

    megabytes: float = 20  # of a file
    megapixels: float = 64  # of a photo
    classes: int = 1000
    name_length: int = 100  # letters
    total_megabytes: float = 200  # of all uploads and figures together


def read_photo(
    path: str | None, limits: Limits = Limits(), background: Sequence[int] = WHITE
) -> np.ndarray:
    """Read an uploaded photo, upright as EXIF says.

    Its size is read from the header, so that a small file which would fill
    the memory is refused before it is unpacked.

    Args:
        path (str, optional): Where the server put the upload.
        limits (Limits): The most that is accepted.
        background (Sequence[int]): The model's, for transparent parts.

    Returns:
        np.ndarray: (H, W, 3) uint8 in BGR order.

    Raises:
        ValueError: If there is none, it is not a photo, damaged, or too large.
            The message does not reveal the path.
    """
    if not path:
        raise ValueError('There is no photo yet: drop one on the field on the left.')
    width, height = _size(path)
    if width * height > limits.megapixels * 1e6:
        raise ValueError(
            f'The photo is too large: {width} x {height} pixels, above '
            f'{limits.megapixels:g} million. Make it smaller: the model sees a few '
            'hundred pixels per side.'
        )
    try:
        return read_image(path, upright=True, background=background)
    except ValueError as error:
        raise ValueError(str(error).replace(f'The image {path!r}', 'The photo')) from error


def _size(path: str):
    try:
        with open_regular(path, MAX_BYTES) as file, opened(file) as image:
            return image.size
    except UnidentifiedImageError as error:
        raise ValueError(
            'This file is not a photo that can be read: choose a JPEG, PNG, WebP, '
            'BMP, GIF, TIFF or PPM file.'
        ) from error
    except Image.DecompressionBombError as error:
        raise ValueError(f'The photo is too large ({error}): make it smaller.') from error
    except Exception as error:  # Pillow's parsers raise nearly anything on damaged files
        raise ValueError(f'The photo is damaged ({error}): choose an intact copy.') from error


def parse_names(text: str | None, own: list[str], limits: Limits = Limits()) -> list[str] | None:
    """Class names from the text field, one per line.

    Args:
        text (str): The field.
        own (list[str]): The names that the model has by itself.
        limits (Limits): The most that is accepted.

    Returns:
        list[str] | None: The names; None if they are the model's own.

    Raises:
        ValueError: Too few, too many, too long, one twice, or not readable.
    """
    lines = [line.strip() for line in (text or '').splitlines()]
    names = [line for line in lines if line]
    if names == own:
        return None
    if len(names) < 2:
        raise ValueError(
            f'{len(names)} class names are given: at least 2 are needed, one per line.'
        )
    if len(names) > limits.classes:
        raise ValueError(f'{len(names)} class names are given: {limits.classes} are the most.')
    for name in names:
        if len(name) > limits.name_length:
            raise ValueError(
                f'The class name {name[:20]!r}... has {len(name)} letters: '
                f'{limits.name_length} are the most. One name per line.'
            )
        if not name.isprintable():
            raise ValueError(
                f'The class name {name!r} has characters that cannot be shown: remove them.'
            )
    twice = repeated(names)
    if twice:
        raise ValueError(f'The class name {twice[0]!r} appears more than once: remove one.')
    return names
