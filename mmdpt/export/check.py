"""Check that an exported file gives what the model gives."""

from collections.abc import Callable, Sequence

import torch
from mmpretrain.structures import DataSample

from ..evaluation.calibration import logits_in, tempered

TOLERANCE = 1e-4
SIZES = (1, 2, 5)  # one is traced with 2


class ExportError(ValueError):
    """A file that does not agree with the model; none is left behind."""


def sample_images(count: int, size: Sequence[int], seed: int = 0) -> torch.Tensor:
    """Random images with coarse and fine structure, uint8 (count, 3, H, W)."""
    draw = torch.Generator().manual_seed(seed)
    image = torch.zeros(count, 3, *size)
    for cells in (2, 5, 11, max(size)):
        noise = torch.randn(count, 3, cells, cells, generator=draw)
        image += torch.nn.functional.interpolate(noise, tuple(size), mode='bilinear')
    return (128 + 40 * image).clamp(0, 255).to(torch.uint8)


@torch.no_grad()
def expected(model, images: torch.Tensor, temperature: float = 1.0) -> torch.Tensor:
    """Probabilities (B, C) by the path of ``tools/test.py``: data preprocessor
    (images are read as BGR), then ``predict``, and the temperature of a calibration."""
    samples = [DataSample() for _ in range(len(images))]
    found = model.eval().val_step(dict(inputs=images.flip(1), data_samples=samples))
    if temperature != 1:
        return torch.stack([tempered(logits_in(sample), temperature) for sample in found])
    return torch.stack([sample.pred_score for sample in found])


def largest_difference(
    model, run: Callable, sizes: Sequence[int], temperature: float = 1.0
) -> dict[int, float]:
    """Largest difference of probabilities, by batch size.

    Args:
        model (PromptedCLIP): The trained model.
        run (Callable): From images (B, 3, H, W) to probabilities (B, C).
        sizes (Sequence[int]): Batch sizes to try.
        temperature (float): Of the probabilities.
    """
    found = {}
    for size in sizes:
        images = sample_images(size, model.backbone.image_size, seed=size)
        wanted, given = expected(model, images, temperature), run(images)
        if given.shape != wanted.shape:
            raise ExportError(
                f'the exported model gives {tuple(given.shape)} instead of {tuple(wanted.shape)}'
            )
        # a NaN anywhere is the largest difference
        found[size] = float((given - wanted).abs().max().nan_to_num(float('inf')))
    return found


def check(name: str, differences: dict[int, float], tolerance: float = TOLERANCE) -> None:
    """Raise ExportError unless all differences are within the tolerance."""
    size, worst = max(differences.items(), key=lambda item: item[1])
    if not worst <= tolerance:
        raise ExportError(
            f'{name} differs from the PyTorch model: probabilities by up to {worst:.1e} (batch '
            f'of {size}), more than {tolerance:.0e}. No file was written. Try --format with the '
            'other format or another --opset, and report it with the config'
        )
