"""Pillow's resizing and affine maps for a whole batch of pictures, equal to it bit by bit.

Pillow resizes 8-bit pictures in whole numbers: the filter's weights, times 2^22, are rounded, and
their sums with the pixels are rounded to 0 ... 255 after each of the two passes (its
``Resample.c``). Sums of whole numbers have no rounding errors in floating point as long as
they stay small, so matrix products give Pillow's pixels, whatever order they add in.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import PIL
import torch
from PIL import Image
from torch import Tensor

BITS = 22  # of the fraction in Pillow's weights
HALF = 12  # weights enter in two parts of so many bits, exact in float32 and in TF32
MAX_TAPS = 32  # of so many, 2^11 * 255 each, the sum stays below 2^24


def resized(pictures: Sequence[Tensor], size: tuple[int, int]) -> Tensor:
    """Resize pictures of any sizes to one, bicubic with anti-aliasing.

    By matrix products on a CUDA device; elsewhere by Pillow itself, which a processor does
    faster.

    Args:
        pictures (Sequence[Tensor]): (H, W, 3) uint8 each.
        size (tuple[int, int]): Height and width.

    Returns:
        Tensor: (B, 3, *size) uint8.

    Raises:
        ValueError: See :func:`resized_by_products`.
    """
    if pictures[0].device.type == 'cuda':
        return resized_by_products(pictures, size)
    return torch.stack([_by_pillow(picture, size) for picture in pictures]).permute(0, 3, 1, 2)


def _by_pillow(picture: Tensor, size: tuple[int, int]) -> Tensor:
    image = Image.fromarray(picture.numpy()).resize(size[::-1], Image.Resampling.BICUBIC)
    return torch.from_numpy(np.array(image))


def resized_by_products(pictures: Sequence[Tensor], size: tuple[int, int]) -> Tensor:
    """As :func:`resized`, by matrix products on any device with double precision.

    Raises:
        ValueError: If the products on this device are not the pixels of this Pillow.
    """
    rows_first = pillow_may_start_with_rows(pictures[0].device)
    groups: dict[bool, list[int]] = {}
    for i, picture in enumerate(pictures):
        down, across = picture.shape[0] - size[0], picture.shape[1] - size[1]
        groups.setdefault(rows_first and down > max(2 * across, 0), []).append(i)
    found = pictures[0].new_empty(len(pictures), 3, *size)
    for start_with_rows, members in groups.items():
        found[members] = _both_passes([pictures[i] for i in members], size, start_with_rows)
    return found


@lru_cache
def pillow_may_start_with_rows(device: torch.device) -> bool:
    """Tell in which order Pillow resizes.

    Version 13 starts with the rows where the height shrinks by more than twice as many pixels as
    the width; else, and in older versions always, the columns come first. Pixels differ, by up
    to 30 of 255.

    Raises:
        ValueError: If this Pillow does neither, or the device computes something else.
    """
    picture = torch.from_numpy(np.random.RandomState(0).randint(0, 2, (48, 10, 3), np.uint8) * 255)
    wanted = _by_pillow(picture, (11, 28)).permute(2, 0, 1)
    for rows_first in (True, False):
        found = _both_passes([picture.to(device)], (11, 28), rows_first)[0].cpu()
        if torch.equal(found, wanted):
            return rows_first
    raise ValueError(
        f'Pillow {PIL.__version__} on the processor and matrix products on {device} resize a '
        'picture differently: leave DeviceImagesHook out, and report it.'
    )


def _both_passes(pictures: list[Tensor], size: tuple[int, int], rows_first: bool) -> Tensor:
    """(H, W, 3) uint8 each to (B, 3, *size) uint8."""
    heights, widths = ([p.shape[side] for p in pictures] for side in (0, 1))
    # padded at the right and below, where all weights are 0
    batch = pictures[0].new_zeros(len(pictures), max(heights), 3, max(widths))
    for padded, picture in zip(batch, pictures):
        padded[: picture.shape[0], :, : picture.shape[1]] = picture.transpose(1, 2)
    if rows_first:
        batch = _resampled(batch, heights, size[0])
    batch = _resampled(batch.transpose(1, 3), widths, size[1]).transpose(1, 3)
    if not rows_first:
        batch = _resampled(batch, heights, size[0])
    return batch.transpose(1, 2)


def _resampled(batch: Tensor, lengths: list[int], size: int) -> Tensor:
    """One pass, along the first side: (B, L, 3, N) uint8 to (B, size, 3, N) uint8."""
    whole = filter_weights(lengths, max(lengths), size, batch.device)  # (B, size, L)
    exact = 4 * max(max(lengths) / size, 1) + 2 <= MAX_TAPS
    pixels = batch.flatten(2).to(torch.float32 if exact else torch.float64)
    high = (whole / 2**HALF).round()
    with torch.autocast(batch.device.type, enabled=False):
        upper, lower = (
            (part.to(pixels.dtype) @ pixels).to(torch.int32)
            for part in (high, whole - high * 2**HALF)
        )
    total = (upper << HALF) + lower + (1 << BITS - 1)
    return (total >> BITS).clamp(0, 255).to(torch.uint8).unflatten(2, batch.shape[2:])


def filter_weights(
    lengths: Sequence[int], longest: int, size: int, device: torch.device | str = 'cpu'
) -> Tensor:
    """Pillow's weights for lines of several lengths, times 2^22 and rounded.

    Args:
        lengths (Sequence[int]): Pixels of each line.
        longest (int): To which lines are padded.
        size (int): Pixels afterwards.
        device (torch.device | str): Where to compute.

    Returns:
        Tensor: (B, size, longest) float64, whole numbers.
    """
    like: dict[str, Any] = dict(dtype=torch.float64, device=device)
    length = torch.tensor(lengths, **like)[:, None, None]
    scale = length / size
    spread = scale.clamp(min=1)
    centre = (torch.arange(size, **like) + 0.5)[:, None] * scale  # (B, size, 1)
    first = (centre - 2 * spread + 0.5).floor().clamp(min=0)
    last = torch.minimum((centre + 2 * spread + 0.5).floor(), length)
    at = torch.arange(longest, **like)
    x = ((at - centre + 0.5) * (1 / spread)).abs()
    near, far = (1.5 * x - 2.5) * x * x + 1, (((x - 5) * x + 8) * x - 4) * -0.5
    weights = torch.where(x < 1, near, torch.where(x < 2, far, 0))
    weights = weights * ((at >= first) & (at < last))
    weights = weights / weights.sum(-1, keepdim=True) * 2**BITS
    return (weights + torch.copysign(torch.full_like(weights, 0.5), weights)).trunc()


def mapped(batch: Tensor, matrices: Tensor) -> Tensor:
    """Affine maps, bilinear, black outside (``Image.transform`` of Pillow's ``Geometry.c``).

    Args:
        batch (Tensor): (B, 3, H, W) uint8.
        matrices (Tensor): (B, 6) float64: where in the picture each pixel comes from.

    Returns:
        Tensor: The same shape, uint8.
    """
    height, width = batch.shape[2:]
    a, b, c, d, e, f = matrices.to(batch.device)[:, :, None, None].unbind(1)  # (B, 1, 1)
    like: dict[str, Any] = dict(dtype=torch.float64, device=batch.device)
    x, y = torch.arange(width, **like) + 0.5, (torch.arange(height, **like) + 0.5)[:, None]
    across, down = a * x + b * y + c, d * x + e * y + f  # (B, H, W)
    outside = (across < 0) | (across >= width) | (down < 0) | (down >= height)
    across, down = across - 0.5, down - 0.5
    left, top = across.floor(), down.floor()
    flat = batch.flatten(2).double()

    def corner(x: Tensor, y: Tensor) -> Tensor:  # (B, 3, H, W)
        index = y.clamp(0, height - 1) * width + x.clamp(0, width - 1)
        index = index.long().flatten(1)[:, None].expand(-1, 3, -1)
        return flat.gather(2, index).view(batch.shape)

    right, low = (across - left)[:, None], (down - top)[:, None]
    upper, lower = corner(left, top), corner(left, top + 1)
    upper = upper + (corner(left + 1, top) - upper) * right
    lower = lower + (corner(left + 1, top + 1) - lower) * right
    value = upper + (lower - upper) * low
    return value.masked_fill(outside[:, None], 0).to(torch.uint8)
