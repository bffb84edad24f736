"""What transforms draw for a view of an image, and what they then do to its pixels."""

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from mmcv.transforms import CenterCrop, KeyMapper, RandomFlip, Resize
from mmengine.dataset import Compose
from mmpretrain.datasets import NumpyToPIL, PackInputs, PILToNumpy, RandomResizedCrop, ResizeEdge
from mmpretrain.datasets.transforms.processing import TorchVisonTransformWrapper
from torch import Tensor
from torchvision.transforms import InterpolationMode, RandomAffine
from torchvision.transforms.functional import _get_inverse_affine_matrix

from .exact_pixels import mapped, resized
from .transforms import LoadPILImage

# the same in every epoch: done once where they come before all that draws
FIXED = (LoadPILImage, Resize, ResizeEdge, CenterCrop, NumpyToPIL, PILToNumpy)
DIRECTIONS = (None, 'horizontal', 'vertical', 'diagonal')
DOT = np.zeros((1, 1, 3), np.uint8)
REMEDY = 'leave DeviceImagesHook out (default_hooks.device_images.enable=False)'


@dataclass(frozen=True)
class View:
    """A view of a kept image that is still to be made.

    Attributes:
        shape (tuple[int, ...]): (H, W, 3), as of an array, which transforms look at.
        numbers (tuple[float, ...]): The image's place, and what each step drew.
        steps (tuple[Step, ...]): What is to be done to the pixels.
    """

    shape: tuple[int, ...]
    numbers: tuple[float, ...]
    steps: tuple['Step', ...] = ()


class Step:
    """A transform, its draws and its work on the pixels apart.

    Args:
        transform (Callable): The pipeline's.

    Attributes:
        width (int): How many numbers it draws.
    """

    width = 0

    def __init__(self, transform: Any) -> None:
        self.transform = transform

    def __call__(self, results: dict) -> dict:
        """Draw for the view ``results['img']``."""
        view = results['img']
        numbers = self.draw(results)
        results['img'] = View(
            self.shape(view.shape), (*view.numbers, *numbers), (*view.steps, self)
        )
        return results

    def draw(self, results: dict) -> Sequence[float]:
        """The numbers; what else the transform notes is put into ``results``."""
        return ()

    def shape(self, before: tuple[int, ...]) -> tuple[int, ...]:
        """The view's shape afterwards."""
        return before

    def make(self, batch: Tensor | list[Tensor], numbers: Tensor) -> Tensor | list[Tensor]:
        """Do it to a batch: (B, 3, H, W) uint8, or still the images, (H, W, 3) each;
        ``numbers`` (B, width), on the CPU."""
        raise NotImplementedError


class Crop(Step):
    """RandomResizedCrop."""

    width = 4

    def __init__(self, transform: RandomResizedCrop) -> None:
        super().__init__(transform)
        if (transform.backend, transform.interpolation) != ('pillow', 'bicubic'):
            raise ValueError(
                "DeviceImagesHook resizes like Pillow's bicubic filter, and the pipeline has "
                f"{transform}: set backend='pillow' and interpolation='bicubic', or {REMEDY}."
            )

    def draw(self, results: dict) -> Sequence[float]:
        """Top, left, height, width."""
        box = self.transform.rand_crop_params(results['img'])
        results['img_shape'] = self.shape(())
        return box

    def shape(self, before: tuple[int, ...]) -> tuple[int, ...]:
        """That of all crops."""
        return (*self.transform.scale, 3)

    def make(self, batch: Tensor | list[Tensor], numbers: Tensor) -> Tensor:
        """Cut out and resize."""
        if isinstance(batch, Tensor):
            batch = [*batch.permute(0, 2, 3, 1)]
        cuts = [
            picture[y : y + h, x : x + w]
            for picture, (y, x, h, w) in zip(batch, numbers.int().tolist())
        ]
        return resized(cuts, tuple(self.transform.scale))


class Flip(Step):
    """RandomFlip."""

    width = 1

    def draw(self, results: dict) -> Sequence[float]:
        """The direction's place in ``DIRECTIONS``."""
        flipped = self.transform(dict(img=DOT))
        results.update(flip=flipped['flip'], flip_direction=flipped['flip_direction'])
        return (DIRECTIONS.index(flipped['flip_direction']),)

    def make(self, batch: Tensor | list[Tensor], numbers: Tensor) -> Tensor:
        """Flip those that are to be flipped."""
        batch = stacked(batch)
        for code, sides in enumerate(([3], [2], [2, 3]), 1):
            chosen = numbers[:, 0] == code
            if chosen.any():
                chosen = chosen.to(batch.device)[:, None, None, None]
                batch = torch.where(chosen, batch.flip(sides), batch)
        return batch


class Affine(Step):
    """torchvision's RandomAffine, of a Pillow image."""

    width = 6

    def __init__(self, transform: TorchVisonTransformWrapper) -> None:
        super().__init__(transform.t)
        kind = self.transform.interpolation
        if kind != InterpolationMode.BILINEAR or self.transform.fill != 0:
            raise ValueError(
                'DeviceImagesHook maps images bilinearly, black outside, and the pipeline has '
                f"{transform}: set interpolation='bilinear' and fill=0, or {REMEDY}."
            )

    def draw(self, results: dict) -> Sequence[float]:
        """The matrix that torchvision hands to Pillow."""
        t, (height, width) = self.transform, results['img'].shape[:2]
        drawn = t.get_params(t.degrees, t.translate, t.scale, t.shear, [width, height])
        return _get_inverse_affine_matrix(t.center or [width * 0.5, height * 0.5], *drawn)

    def make(self, batch: Tensor | list[Tensor], numbers: Tensor) -> Tensor:
        """Map."""
        return mapped(stacked(batch), numbers)


class Channels(Step):
    """NumpyToPIL and PILToNumpy, which may swap red and blue."""

    def make(self, batch: Tensor | list[Tensor], numbers: Tensor) -> Tensor | list[Tensor]:
        """Swap them, or nothing."""
        swap = getattr(self.transform, 'to_rgb', False) or getattr(self.transform, 'to_bgr', False)
        return stacked(batch).flip(1) if swap else batch


STEPS: dict[type, type[Step]] = {
    RandomResizedCrop: Crop,
    RandomFlip: Flip,
    RandomAffine: Affine,
    NumpyToPIL: Channels,
    PILToNumpy: Channels,
}


def step_of(transform: Any) -> Callable:
    """The part of a transform that draws.

    Raises:
        ValueError: If it is not known.
    """
    if type(transform) is KeyMapper:  # another view
        mapper = copy(transform)
        mapper.transforms = Compose([step_of(inner) for inner in transform.transforms.transforms])
        return mapper
    kind = type(getattr(transform, 't', transform))
    if kind not in STEPS or getattr(transform, 'dtype', None) is not None:
        raise ValueError(
            f'DeviceImagesHook does not know the transform {transform} in '
            'train_dataloader.dataset.pipeline. It knows '
            f'{", ".join(known.__name__ for known in (*STEPS, KeyMapper, PackInputs))}, and '
            f'before them {", ".join(known.__name__ for known in FIXED)}: take others, or {REMEDY}.'
        )
    return STEPS[kind](transform)


def stacked(batch: Tensor | list[Tensor]) -> Tensor:
    """(B, 3, H, W) of images (H, W, 3) of one size, or as it is."""
    return batch if isinstance(batch, Tensor) else torch.stack(batch).permute(0, 3, 1, 2)
