"""Predictions for all test images together, from what a model says of each."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmpretrain.structures import DataSample

from .calibration import logits_in, tempered

PREFIX = 'transductive'  # of figures


def check_model(model: torch.nn.Module, name: str = '--transductive') -> None:
    """Raise ValueError unless a model gives image features beside its scores."""
    if not hasattr(model, 'match'):
        raise ValueError(
            f'{name} compares image features with those of the other images, and '
            f'{type(model).__name__} gives none: use a PromptedCLIP.'
        )


@torch.no_grad()
def features_and_probabilities(
    model, batch: dict, temperature: float = 1.0
) -> tuple[torch.Tensor, torch.Tensor]:
    """What a model makes of a batch, on the CPU.

    Args:
        model (PromptedCLIP): In evaluation mode.
        batch (dict): As a data loader gives it.
        temperature (float): Of a calibration.

    Returns:
        tuple: Image features (B, E), normalised, prompted where the model
        prompts images; probabilities (B, C).
    """
    match = model.match(model.data_preprocessor(batch, training=False)['inputs'])
    samples = model.head.predict(match, None)
    scores = [s.pred_score for s in samples]
    if temperature != 1:
        scores = [tempered(logits_in(sample), temperature) for sample in samples]
    return F.normalize(match.image, dim=-1).float().cpu(), torch.stack(scores).float().cpu()


def predictions(assignments: torch.Tensor, samples: Sequence[DataSample]) -> list[DataSample]:
    """Samples with assignments (N, C) as their scores."""
    return [
        sample.set_pred_score(row).set_pred_label(row.argmax())
        for row, sample in zip(assignments, samples)
    ]
