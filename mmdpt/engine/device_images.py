"""Training images that are decoded once and augmented in batches, where the model is."""

from typing import Any

import numpy as np
import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpretrain.registry import HOOKS
from torch import Tensor

from mmdpt.datasets.base import BaseFewShotDataset
from mmdpt.datasets.drawn_steps import REMEDY
from mmdpt.datasets.drawn_views import DrawnPipeline, made
from mmdpt.utils.checks import check_least
from mmdpt.utils.memory import MIB
from mmdpt.utils.unwrap import unwrapped

from .hooks import inner_datasets

SEEN = 50  # so many images show how much all will take


@HOOKS.register_module()
class DeviceImagesHook(Hook):
    """Keep the training images as they are decoded, and make each batch's views on the device.

    The loader and its workers then only draw, a few numbers per image, by the pipeline's own
    transforms and seeds; the pixels are made before the data preprocessor normalises them. They
    equal those of the usual pipeline bit by bit, and so does the training. On a CUDA device the
    images are one tensor there; else they stay in the computer's memory, and Pillow resizes.

        --cfg-options default_hooks.device_images.enable=True

    Args:
        enable (bool): Whether to do so. Defaults to True; ``configs/_base_/runtime.py`` says False.
        max_mib (int): Refuse images that take more memory. Defaults to 4096.

    Raises:
        ValueError: Before the training, if there is not exactly one few-shot dataset, a transform
            is not known (see :data:`mmdpt.datasets.drawn_steps.STEPS`), the images take more
            memory, or differ in size and are not cropped.
    """

    def __init__(self, enable: bool = True, max_mib: int = 4096) -> None:
        check_least('max_mib', max_mib, 1)
        self.enable, self.max_mib = enable, max_mib

    def before_train(self, runner: Runner) -> None:
        """Decode the images; put the draws and the pixels in their places."""
        if not self.enable:
            return
        datasets = [*inner_datasets(runner.train_dataloader.dataset)]
        if not isinstance(datasets[-1], BaseFewShotDataset) or any(
            len(getattr(outer, 'datasets', ())) > 1 for outer in datasets
        ):
            raise ValueError(
                'DeviceImagesHook needs one dataset whose augmentation depends on seed and epoch '
                f'alone, and the training has {", ".join(type(d).__name__ for d in datasets)}: '
                f'use one FewShotDataset, perhaps repeated, or {REMEDY}.'
            )
        self.dataset = datasets[-1]
        preprocessor = unwrapped(runner.model).data_preprocessor
        drawn = DrawnPipeline(self.dataset.pipeline)
        pictures = self._decoded(drawn)
        self.plan = drawn.plan()
        self.pictures = on_device(pictures, preprocessor.device)
        self.dataset.pipeline = drawn
        self.handle = preprocessor.register_forward_pre_hook(self._fill)
        size = sum(picture.nbytes for picture in pictures) / MIB
        runner.logger.info(
            f'DeviceImagesHook: {len(pictures)} training images, {size:.1f} MiB, are kept on '
            f'{self.pictures[0].device} and augmented there.'
        )

    def after_train(self, runner: Runner) -> None:
        """Undo it."""
        if not self.enable:
            return
        self.handle.remove()
        self.dataset.pipeline = self.dataset.pipeline.pipeline
        self.pictures = []

    def _decoded(self, drawn: DrawnPipeline) -> list[np.ndarray]:
        size, count, pictures = 0, len(self.dataset), []
        for i in range(count):
            info = self.dataset.get_data_info(i)
            if info['img_path'] in self.dataset.images:
                info['img'] = self.dataset.images[info['img_path']]
            pictures.append(drawn.keep(info))
            size += pictures[-1].nbytes
            expected = size / (i + 1) * count if i + 1 >= SEEN else size
            if expected > self.max_mib * MIB:
                raise ValueError(
                    f'DeviceImagesHook: the {count} training images take about '
                    f'{size / (i + 1) * count / MIB:.0f} MiB, more than max_mib={self.max_mib}. '
                    f'Raise default_hooks.device_images.max_mib, put ResizeEdge before the random '
                    f'transforms, which changes the training, or {REMEDY}.'
                )
        return pictures

    def _fill(self, module: Any, arguments: tuple) -> tuple:
        """Put the pixels in the place of the draws; other batches stay as they are."""
        data, *rest = arguments
        data = dict(data, inputs=self._made('img', data['inputs']))
        for key in self.plan.keys() - {'img'}:
            samples = [s for s in data.get('data_samples') or () if key in s]
            if samples:
                for sample, view in zip(samples, self._made(key, [s.get(key) for s in samples])):
                    sample.set_field(view, key)
        return data, *rest

    def _made(self, key: str, drawn: Any) -> Any:
        first = drawn[0]
        if not (isinstance(first, Tensor) and first.dim() == 1):
            return drawn
        numbers = drawn if isinstance(drawn, Tensor) else torch.stack(drawn)
        return made(self.pictures, self.plan[key], numbers)


def on_device(pictures: list[np.ndarray], device: torch.device | str) -> list[Tensor]:
    """Move images (H, W, 3) to a CUDA device, in one piece, so that differing sizes waste
    nothing and one copy is enough; for other devices they stay, without a copy."""
    if torch.device(device).type != 'cuda':
        return [torch.from_numpy(picture) for picture in pictures]
    flat = torch.from_numpy(np.concatenate([picture.reshape(-1) for picture in pictures]))
    parts = flat.to(device).split([picture.size for picture in pictures])
    return [part.view(picture.shape) for part, picture in zip(parts, pictures)]
