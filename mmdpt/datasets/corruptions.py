"""The common corruptions of ImageNet-C, by the library imagecorruptions."""

import inspect

import numpy as np
from mmengine.dataset import Compose
from mmpretrain.registry import TRANSFORMS

from .data_protocol import DataProtocol

LEAST = 32  # pixels of the shorter edge


@TRANSFORMS.register_module()
class Corrupt:
    """Corrupt an image of 8 bits as `ImageNet-C <https://arxiv.org/abs/1903.12261>`_ does.

    The random numbers are NumPy's, which a few-shot dataset seeds per image: the same image is
    corrupted in the same way in every run.

    Args:
        corruption (str): One of :data:`mmdpt.datasets.data_protocol.CORRUPTIONS`.
        severity (int): 1 to 5.

    Raises:
        ImportError: If the library is missing.
        ValueError: If an image is smaller than 32 pixels, or not of 8 bits.
    """

    def __init__(self, corruption: str, severity: int) -> None:
        self.corruption, self.severity = corruption, severity
        self._apply = _functions()[corruption]
        self._seeded = 'seed' in inspect.signature(self._apply).parameters

    def __call__(self, results: dict) -> dict:
        """Change ``results['img']``, (H, W, 3), BGR."""
        from PIL import Image

        img = results['img']
        if not isinstance(img, np.ndarray) or img.dtype != np.uint8 or min(img.shape[:2]) < LEAST:
            raise ValueError(
                f'{self.corruption} needs images of 8 bits and at least {LEAST} pixels, got '
                f'{getattr(img, "dtype", type(img).__name__)} {getattr(img, "shape", "")}: '
                'resize them in the test pipeline first'
            )
        # these two take a seed instead of NumPy's global generator
        more = dict(seed=int(np.random.randint(2**31))) if self._seeded else {}
        rgb = self._apply(Image.fromarray(img[..., ::-1]), self.severity, **more)
        results['img'] = np.ascontiguousarray(np.asarray(rgb).astype(np.uint8)[..., ::-1])
        return results

    def __repr__(self) -> str:
        return f'Corrupt({self.corruption!r}, {self.severity})'


def corrupt_before_packing(pipeline: Compose, protocol: DataProtocol) -> None:
    """Corrupt what a test pipeline packs, its last step."""
    assert protocol.corruption and protocol.severity  # they are checked together
    pipeline.transforms.insert(-1, Corrupt(protocol.corruption, protocol.severity))


def _functions() -> dict:
    try:
        from imagecorruptions import corruption_dict
    except ImportError as error:
        raise ImportError(
            f"corrupted test images need imagecorruptions ({error}): pip install 'mmdpt[corrupt]'"
        ) from error
    return corruption_dict
