"""Photos as they stand in a page: small, and part of it."""

from collections.abc import Iterable

import numpy as np
from PIL import Image

from mmdpt.utils.data_uri import data_uri

from .data import PhotoFiles

SIDE = 144  # pixels of a thumbnail, at most
PIXELATED = 48  # smaller ones are shown square by square


def thumbnails(files: PhotoFiles | None, images: Iterable[str]) -> dict[str, str]:
    """Data URIs by image; one that cannot be read has none.

    Args:
        files (PhotoFiles, optional): Where the photos are.
        images (Iterable[str]): Which ones.
    """
    found: dict[str, str] = {}
    for image in images if files is not None else ():
        try:
            found[image] = thumbnail(files.read(image))  # type: ignore[union-attr]
        except (ValueError, OSError):
            continue  # the page says that it cannot be shown
    return found


def thumbnail(pixels: np.ndarray) -> str:
    """A data URI of a photo, RGB, uint8, (H, W, 3)."""
    picture = Image.fromarray(pixels)
    if max(picture.size) <= PIXELATED:
        factor = -(-SIDE // (2 * max(picture.size)))
        size = (picture.width * factor, picture.height * factor)
        return data_uri(picture.resize(size, Image.Resampling.NEAREST), 'PNG')
    picture.thumbnail((SIDE, SIDE))
    return data_uri(picture, 'JPEG')
