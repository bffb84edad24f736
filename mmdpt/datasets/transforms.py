"""Image loading that equals ``PIL.Image.open(path).convert('RGB')``."""
import io
from typing import Optional

import numpy as np
from mmcv.transforms import BaseTransform
from mmengine import fileio
from PIL import Image, UnidentifiedImageError

from mmpretrain.registry import TRANSFORMS


def read_image(path: str, backend_args: Optional[dict] = None) -> np.ndarray:
    """Decode an image as the reference does: by Pillow, EXIF rotation ignored.

    Returns:
        np.ndarray: (H, W, 3) uint8 in BGR order, as mmcv's loaders give it.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it does not decode; the message names the file.
    """
    try:
        content = fileio.get(path, backend_args=backend_args)
    except FileNotFoundError:
        raise FileNotFoundError(
            f'The image {path!r} does not exist.') from None
    try:
        with Image.open(io.BytesIO(content)) as image:
            rgb = np.asarray(image.convert('RGB'))
    # Pillow's decoders raise nearly anything on damaged files
    except Exception as error:
        reason = ('unknown format'
                  if isinstance(error, UnidentifiedImageError) else error)
        raise ValueError(
            f'The image {path!r} does not decode ({reason}). It may be damaged '
            'or no image at all; replace it by an intact copy.') from error
    return np.ascontiguousarray(rgb[..., ::-1])


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
    """

    def __init__(self, backend_args: Optional[dict] = None) -> None:
        self.backend_args = backend_args

    def transform(self, results: dict) -> dict:
        """Add the image; raises as :func:`read_image`."""
        if 'img' not in results:
            results['img'] = read_image(results['img_path'], self.backend_args)
        results['img_shape'] = results['img'].shape[:2]
        results['ori_shape'] = results['img'].shape[:2]
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(backend_args={self.backend_args})'
