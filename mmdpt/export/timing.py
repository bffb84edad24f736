"""How long one image takes, in each form of the model."""

import statistics
import time
from collections.abc import Callable

import torch

from .check import sample_images
from .files import LOAD


def latency(model, files: dict[str, str], rounds: int = 30) -> dict[str, float]:
    """Median milliseconds of one image on one thread of the CPU.

    The forms take turns, so that other load on the machine affects all alike.

    Args:
        model (PromptedCLIP): The trained model; its time is of the whole path
            of ``tools/test.py`` behind the loading of the image.
        files (dict): Exported file by format.
        rounds (int): Images per form, after two that do not count.

    Returns:
        dict: By form, 'eager' and the formats.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        forms = dict(eager=_eager(model))
        forms.update((name, LOAD[name](path, threads=1)) for name, path in files.items())
        image = sample_images(1, model.backbone.image_size)
        times: dict = {name: [] for name in forms}
        with torch.no_grad():
            for _ in range(rounds + 2):
                for name, run in forms.items():
                    times[name].append(_seconds(run, image))
    finally:
        torch.set_num_threads(before)
    return {name: 1e3 * statistics.median(found[2:]) for name, found in times.items()}


def _eager(model) -> Callable:
    def run(images):
        inputs = model.data_preprocessor(dict(inputs=images.flip(1)))['inputs']
        return model(inputs, mode='tensor').softmax(1)

    return run


def _seconds(run: Callable, image: torch.Tensor) -> float:
    start = time.perf_counter()
    run(image)
    return time.perf_counter() - start
