"""The 1,797 handwritten digits that come with scikit-learn."""

from functools import lru_cache

import numpy as np
from mmpretrain.registry import DATASETS

from .base import BaseFewShotDataset
from .benchmarks import Benchmark
from .sampling import group_by_label
from .split_files import Item, Split

POOL = 898  # the first half of the images may be learnt from


@DATASETS.register_module()
class DigitsDataset(BaseFewShotDataset):
    """Handwritten digits, 8 x 8 gray, as a few-shot benchmark.

    The test list is the last 899 images. Of the first 898, the pool, the
    first, third, fifth ... of each class are the train list and the others
    the val list; both are drawn from as in the benchmark.

    Args:
        benchmark (str | Benchmark): The class names to go with it. Defaults
            to 'Digits'.
        **kwargs: ``split``, ``shots``, ``seed``, ``subset``, ``allow_fewer``,
            ``unlabelled``, ``pipeline``, see :class:`BaseFewShotDataset`.

    Raises:
        ValueError: If the benchmark does not have ten classes.
        ImportError: If scikit-learn is not installed.
    """

    def __init__(self, benchmark: str | Benchmark = 'Digits', **kwargs) -> None:
        super().__init__(benchmark, **kwargs)

    def load_split(self) -> Split:
        """Make the three lists; an item's path is its position."""
        if len(self.benchmark.classes) != 10:
            raise ValueError(
                f'{self.benchmark.name} has '
                f'{len(self.benchmark.classes)} classes; the '
                'digits need 10 names, from zero to nine.'
            )
        items = [
            Item(f'digits/{i:04d}', int(label), self.benchmark.classes[label])
            for i, label in enumerate(load_digits().target)
        ]
        groups = group_by_label(items[:POOL]).values()
        train = sorted(item for same in groups for item in same[::2])
        val = sorted(item for same in groups for item in same[1::2])
        return Split(train, val, items[POOL:])

    def image_path(self, item: Item) -> str:
        """A name; there are no files."""
        return item.path

    def full_init(self) -> None:
        """Load the list and the images."""
        if self._fully_initialized:
            return
        super().full_init()
        if isinstance(self.unlabelled, str):
            return  # files
        images = digit_images()
        for i in range(len(self)):
            path = self.get_data_info(i)['img_path']
            self.images[path] = images[int(path.split('/')[1])]


@lru_cache(maxsize=1)
def load_digits():
    """scikit-learn's ``load_digits``, with a helpful error."""
    try:
        from sklearn.datasets import load_digits as load
    except ImportError as error:
        raise ImportError('The digits come with scikit-learn: pip install scikit-learn') from error
    return load()


def digit_images() -> np.ndarray:
    """All digits, white on black.

    Returns:
        np.ndarray: (1797, 8, 8, 3) uint8, three equal channels.
    """
    gray = np.rint(load_digits().images * (255 / 16)).astype(np.uint8)
    return np.repeat(gray[..., None], 3, axis=-1)
