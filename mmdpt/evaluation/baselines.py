"""Logistic regression on frozen features or on raw pixels, for comparison."""

import numpy as np

from mmdpt.models.heads.logistic import (
    FIRST_C,
    LinearProbe,
    accuracy,
    fit_logistic,
    search_linear_probe,
)

__all__ = [
    'FIRST_C',
    'LinearProbe',
    'accuracy',
    'fit_logistic',
    'pixel_features',
    'search_linear_probe',
    'stored_images',
]


def stored_images(dataset) -> tuple[np.ndarray, np.ndarray]:
    """Images that a few-shot dataset keeps in memory, before its pipeline.

    Args:
        dataset (BaseFewShotDataset): All its images have the same size.

    Returns:
        tuple: (N, H, W, 3) uint8 in BGR order, (N,) labels.

    Raises:
        ValueError: If it keeps no images, or they differ in size.
    """
    paths = [dataset.get_data_info(i)['img_path'] for i in range(len(dataset))]
    if not all(path in dataset.images for path in paths):
        raise ValueError(
            f'The {dataset.split} list of {dataset.benchmark.name} keeps no '
            'images in memory; set dataset.cache_images=True.'
        )
    shapes = {dataset.images[path].shape for path in paths}
    if len(shapes) > 1:
        raise ValueError(
            f'The images of {dataset.benchmark.name} differ in size '
            f'({sorted(shapes)[:3]} ...); raw pixels cannot be compared.'
        )
    return (np.stack([dataset.images[path] for path in paths]), dataset.get_gt_labels())


def pixel_features(images: np.ndarray) -> np.ndarray:
    """Raw pixels as features.

    Args:
        images (np.ndarray): (N, H, W, 3) uint8.

    Returns:
        np.ndarray: (N, H * W * 3) float64 from 0 to 1.
    """
    return images.reshape(len(images), -1) / 255.0
