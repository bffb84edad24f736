"""The first transforms of images that are in memory, run once per image."""

from collections.abc import Callable, Sequence

from mmcv.transforms import CenterCrop
from mmpretrain.datasets import ResizeEdge

from .transforms import LoadPILImage

DRAWLESS = (LoadPILImage, ResizeEdge, CenterCrop)  # no random numbers, results in the info alone


class KeptSteps:
    """What the drawless first transforms of a pipeline made of images in memory."""

    def __init__(self) -> None:
        self._first: list[Callable] = []
        self._made: dict[str, dict] = {}

    def run(self, steps: Sequence[Callable], info: dict) -> dict | None:
        """Run all transforms; the first ones only if they have not seen the image.

        Args:
            steps (Sequence[Callable]): The transforms.
            info (dict): A description with ``img_path`` and an ``img`` of its own.
        """
        count = next((i for i, step in enumerate(steps) if type(step) not in DRAWLESS), len(steps))
        first, path = list(steps[:count]), info['img_path']
        if first != self._first:  # somebody changed the pipeline
            self._first, self._made = first, {}
        if path not in self._made:
            made = dict(info)
            for step in first:
                made = step(made)
            self._made[path] = {k: v for k, v in made.items() if k not in info or k == 'img'}
        made = self._made[path]
        # a copy: no transform can change what is kept
        data: dict | None = {**info, **made, 'img': made['img'].copy()}
        for step in steps[count:]:
            if data is None:
                return None
            data = step(data)
        return data
