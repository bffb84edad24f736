"""Batches are resized and mapped as Pillow does it, bit by bit."""

import numpy as np
import pytest
import torch
from PIL import Image

from mmdpt.datasets.exact_pixels import MAX_TAPS, filter_weights, mapped, resized_by_products


def picture(random, height, width):
    """Noise, black and white, or smooth: (height, width, 3) uint8."""
    kind = random.randint(3)
    if kind < 2:
        return random.randint(0, 256 if kind else 2, (height, width, 3), np.uint8) * (255, 1)[kind]
    small = random.randint(0, 256, (height // 8 + 1, width // 8 + 1, 3), np.uint8)
    return np.array(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC))


def pillow(pictures, size):
    images = [Image.fromarray(p).resize(size[::-1], Image.Resampling.BICUBIC) for p in pictures]
    return torch.from_numpy(np.stack([np.array(image) for image in images])).permute(0, 3, 1, 2)


def products(pictures, size):
    return resized_by_products([torch.from_numpy(p) for p in pictures], size)


@pytest.mark.parametrize('seed', range(8))
def test_a_batch_of_several_sizes_is_resized_as_by_pillow(seed):
    random = np.random.RandomState(seed)
    size = (32, 32) if seed % 2 else tuple(random.randint(1, 100, 2).tolist())
    pictures = [picture(random, *random.randint(1, 200, 2)) for _ in range(12)]
    together = products(pictures, size)
    assert torch.equal(together, pillow(pictures, size))
    assert torch.equal(together[3:4], products(pictures[3:4], size))  # alone, too


def test_photos_are_resized_as_by_pillow():
    random = np.random.RandomState(0)
    pictures = [
        picture(random, *sides) for sides in [(375, 500), (500, 375), (224, 224), (60, 700)]
    ]
    assert torch.equal(products(pictures, (224, 224)), pillow(pictures, (224, 224)))


def test_strong_shrinking_is_exact():
    """Too many weights for sums in single precision."""
    random = np.random.RandomState(0)
    pictures = [random.randint(0, 2, (900, 700, 3), np.uint8) * 255 for _ in range(2)]
    size = (14, 9)
    assert 4 * 900 / size[0] > 4 * 700 / 90 > 0 and 4 * 900 / size[0] > MAX_TAPS
    assert torch.equal(products(pictures, size), pillow(pictures, size))


def test_sums_in_single_precision_cannot_round():
    """Their bound, for the weights of many scales: whole numbers below 2^24."""
    for longest in range(10, 2000, 37):
        if 4 * max(longest / 224, 1) + 2 <= MAX_TAPS:
            whole = filter_weights([longest], longest, 224)
            high = (whole / 2**12).round()
            for part in (high, whole - high * 2**12):
                assert part.abs().max() <= 2**11  # exact in TF32 as well
                assert (part.abs().sum(-1) * 255).max() < 2**24


def test_autocast_changes_nothing():
    random = np.random.RandomState(0)
    pictures = [picture(random, 50, 70)]
    with torch.autocast('cpu', torch.bfloat16):
        found = products(pictures, (32, 32))
    assert torch.equal(found, pillow(pictures, (32, 32)))


@pytest.mark.parametrize('seed', range(6))
def test_affine_maps_are_those_of_pillow(seed):
    random = np.random.RandomState(seed)
    height, width = (32, 32) if seed < 2 else random.randint(1, 60, 2)
    pictures = np.stack([picture(random, height, width) for _ in range(6)])
    matrices = random.randn(6, 6) * (1, 1, width / 2, 1, 1, height / 2)
    matrices[0] = 1.05, 0.1, -1.3, -0.1, 0.97, 2.2
    matrices[1] = 1, 0, 0, 0, 1, 0
    wanted = [
        Image.fromarray(p).transform(
            (width, height), Image.Transform.AFFINE, tuple(m), Image.Resampling.BILINEAR
        )
        for p, m in zip(pictures, matrices)
    ]
    found = mapped(torch.from_numpy(pictures).permute(0, 3, 1, 2), torch.from_numpy(matrices))
    assert np.array_equal(found.permute(0, 2, 3, 1), [np.array(image) for image in wanted])
