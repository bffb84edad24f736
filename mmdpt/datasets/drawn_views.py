"""What a pipeline draws for an image, apart from what it does to the pixels.

A worker that only draws sends a few numbers per image; the pixels are made of them for a whole
batch, where the images are kept. The transforms themselves draw, in their order, so the numbers
are those of the usual pipeline.
"""

from collections.abc import Sequence

import numpy as np
import torch
from mmengine.dataset import Compose
from mmpretrain.datasets import PackInputs
from torch import Tensor

from .drawn_steps import FIXED, REMEDY, Crop, Step, View, stacked, step_of
from .randomness import sample_randomness


class DrawnPipeline:
    """Takes a pipeline's place: draws, and packs the numbers in place of the images.

    Args:
        pipeline (Compose): The pipeline; ends with PackInputs.

    Raises:
        ValueError: If a transform is not known.
    """

    def __init__(self, pipeline: Compose) -> None:
        self.pipeline = pipeline
        *steps, self.pack = pipeline.transforms or [None]
        if type(self.pack) is not PackInputs:
            raise ValueError(
                'DeviceImagesHook needs PackInputs at the end of '
                f'train_dataloader.dataset.pipeline: add it, or {REMEDY}.'
            )
        count = 0
        while count < len(steps) and type(steps[count]) in FIXED:
            count += 1
        self.fixed, self.steps = Compose(steps[:count]), [step_of(t) for t in steps[count:]]
        self.kept: list[dict] = []

    def keep(self, info: dict) -> np.ndarray:
        """Do what is the same in every epoch to the next image.

        Args:
            info (dict): The dataset's description of it.

        Returns:
            np.ndarray: (H, W, 3) uint8.
        """
        results = self.fixed(info)
        picture = results['img']
        if not isinstance(picture, np.ndarray):  # Pillow's
            picture = np.array(picture)
        self.kept.append(dict(results, img=View(picture.shape, (len(self.kept),))))
        return picture

    def plan(self) -> dict[str, tuple[Step, ...]]:
        """The steps of each view, by its key.

        Raises:
            ValueError: If images of several sizes would remain so.
        """
        with sample_randomness(0, 0, 0):
            drawn = self._drawn(0)
        plan = {key: view.steps for key, view in drawn.items() if isinstance(view, View)}
        sizes = {kept['img'].shape for kept in self.kept}
        for key, steps in plan.items():
            if len(sizes) > 1 and not any(isinstance(step, Crop) for step in steps[:1]):
                raise ValueError(
                    f'The images differ in size ({len(sizes)} sizes), and no batch can be made of '
                    f'them as {key!r}: begin with RandomResizedCrop, put ResizeEdge and CenterCrop '
                    f'before, or {REMEDY}.'
                )
        return plan

    def _drawn(self, index: int) -> dict:
        results = dict(self.kept[index])
        for step in self.steps:
            results = step(results)
        return results

    def __call__(self, info: dict) -> dict:
        """Draw for an image, and pack: ``inputs`` are (1 + numbers,) float64."""
        results = self._drawn(info['sample_idx'])
        for key, value in results.items():
            if isinstance(value, View):
                results[key] = torch.tensor(value.numbers, dtype=torch.float64)
        return self.pack(results)

    def __repr__(self) -> str:
        # the views are the same, and so is the key of what is kept of them
        return repr(self.pipeline)


def made(pictures: Sequence[Tensor], steps: Sequence[Step], numbers: Tensor) -> Tensor:
    """The views of a batch.

    Args:
        pictures (Sequence[Tensor]): All kept images, (H, W, 3) uint8.
        steps (Sequence[Step]): What is to be done.
        numbers (Tensor): (B, 1 + numbers) float64, on the CPU.

    Returns:
        Tensor: (B, 3, H, W) uint8, on the images' device.
    """
    places, *drawn = numbers.split([1, *(step.width for step in steps)], dim=1)
    batch: Tensor | list[Tensor] = [pictures[i] for i in places[:, 0].int().tolist()]
    for step, own in zip(steps, drawn):
        batch = step.make(batch, own)
    return stacked(batch).contiguous()
