"""Image loading that equals ``PIL.Image.open(path).convert('RGB')`` where all is opaque."""

import io
from collections.abc import Sequence

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmengine import fileio
from mmpretrain.registry import TRANSFORMS
from PIL import Image, UnidentifiedImageError

from mmdpt.utils.files import read_regular

from .pictures import MAX_BYTES, MAX_PIXELS, WHITE, colour, flattened, opened

MAX_RATIO = 1000  # of the sides: resized to 224 the longer has 224,000 pixels
REMEDY = 'It may be damaged or not an image at all; replace it with an intact copy.'


def read_image(
    path: str,
    backend_args: dict | None = None,
    upright: bool = False,
    background: Sequence[int] = WHITE,
    pixels: float = MAX_PIXELS,
) -> np.ndarray:
    """Decode an image as the reference does: by Pillow, EXIF rotation ignored.

    Of an animation the first frame counts, and the file's name says nothing
    about its format. Unlike there, 16 bits a pixel are scaled to 8 (Pillow
    cuts at 255, which leaves a white image), and transparent parts show a
    background (Pillow shows the colours that are hidden under them).

    Args:
        path (str): The file; a regular one, unless ``backend_args`` says
            where else.
        backend_args (dict, optional): See :func:`mmengine.fileio.get`.
        upright (bool): Rotate as EXIF says, as viewers show the image.
        background (Sequence[int]): Red, green and blue, 0 to 255.
        pixels (float): The most that it may have.

    Returns:
        np.ndarray: (H, W, 3) uint8 in BGR order, as mmcv's loaders give it.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it does not decode, is larger than Pillow's limit of
            179 million pixels, or is a thousand times as long as wide; the
            message names the file.
    """
    rgb, _ = read_picture(path, backend_args, upright, background, pixels)
    return cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)  # a tenth of the time of [..., ::-1]


def read_picture(
    path: str,
    backend_args: dict | None = None,
    upright: bool = False,
    background: Sequence[int] = WHITE,
    pixels: float = MAX_PIXELS,
) -> tuple[np.ndarray, bool]:
    """What :func:`read_image` reads, in RGB order, and whether parts of it were transparent."""
    content = _content(path, backend_args)
    try:
        with opened(io.BytesIO(content), pixels) as image:
            flat, clear = flattened(image, upright, background)
            rgb = np.asarray(flat)
    # Pillow's decoders raise nearly anything on damaged files
    except Exception as error:
        raise ValueError(_why_not(path, content, error)) from error
    height, width = rgb.shape[:2]
    if max(height, width) > MAX_RATIO * min(height, width):
        raise ValueError(
            f'The image {path!r} has {width} x {height} pixels: a strip this long '
            'cannot be resized; crop it.'
        )
    return rgb, clear


def _content(path: str, backend_args: dict | None) -> bytes:
    try:
        if backend_args:
            return fileio.get(path, backend_args=backend_args)
        # a name from a list must not choose where it is read ("x:http://...")
        return read_regular(path, MAX_BYTES)
    except FileNotFoundError:
        raise FileNotFoundError(f'The image {path!r} does not exist.') from None
    except ValueError as error:
        raise ValueError(f'The image {path!r} {error}. {REMEDY}') from None


def _why_not(path: str, content: bytes, error: Exception) -> str:
    if isinstance(error, Image.DecompressionBombError):
        return (
            f'The image {path!r} is too large ({error}). Make it smaller: the model sees '
            'a few hundred pixels per side.'
        )
    reason = 'unknown format' if isinstance(error, UnidentifiedImageError) else error
    return (
        f'The image {path!r} does not decode '
        f'({"the file is empty" if not content else reason}). {REMEDY}'
    )


@TRANSFORMS.register_module()
class LoadPILImage(BaseTransform):
    """Load an image with Pillow, unless the dataset has provided it.

    mmcv's ``LoadImageFromFile`` rotates by EXIF with its defaults and puts
    gray images with transparency on a coloured canvas; the public benchmark
    does neither.

    **Required Keys:** ``img_path`` (or ``img``)

    **Added Keys:** ``img``, ``img_shape``, ``ori_shape``

    Args:
        backend_args (dict, optional): Arguments of the file backend, see
            :func:`mmengine.fileio.get`. Defaults to None.
        upright (bool): Rotate as EXIF says. The public benchmark does not;
            for your own photos it may help. Defaults to False.
        background (str | Sequence[int]): What transparent parts are put on:
            a colour's name, or red, green and blue. A config's
            ``dataset.background`` gives it. Defaults to white.

    Raises:
        ValueError: If ``background`` is no colour.
    """

    def __init__(
        self,
        backend_args: dict | None = None,
        upright: bool = False,
        background: str | Sequence[int] = WHITE,
    ) -> None:
        self.backend_args = backend_args
        self.upright = upright
        self.background = colour(background)

    def transform(self, results: dict) -> dict:
        """Add the image; raises as :func:`read_image`."""
        if 'img' not in results:
            results['img'] = self.read(results['img_path'])
        results['img_shape'] = results['img'].shape[:2]
        results['ori_shape'] = results['img'].shape[:2]
        return results

    def read(self, path: str) -> np.ndarray:
        """The image of a file; see :func:`read_image`."""
        return read_image(path, self.backend_args, self.upright, self.background)

    def __repr__(self) -> str:
        upright = ', upright=True' if self.upright else ''
        return (
            f'{type(self).__name__}(backend_args={self.backend_args}{upright}, '
            f'background={self.background})'
        )
