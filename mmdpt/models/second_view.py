"""A second augmented view of each image, which some heads compare with the first."""

import torch
import torch.nn as nn
from mmpretrain.datasets import PackInputs
from mmpretrain.structures import DataSample

FIELD = 'img2'


def second_view(preprocessor: nn.Module, data_samples: list[DataSample]) -> torch.Tensor:
    """The second views, prepared as the first ones are, (B, 3, H, W).

    Args:
        preprocessor (nn.Module): The model's ``data_preprocessor``.
        data_samples (list[DataSample]): With the field ``img2``: what
            MMPretrain's ``PackInputs`` takes as ``img``.

    Raises:
        ValueError: If a sample has no second view.
    """
    if not all(FIELD in sample for sample in data_samples):
        raise ValueError(
            f'The head compares two views of each image, but the training samples have no '
            f'{FIELD!r}: make one in train_dataloader.dataset.pipeline by dict(type="KeyMapper", '
            f'mapping=dict(img="img"), remapping=dict(img="{FIELD}"), transforms=[...]), and end '
            f'with dict(type="PackInputs", algorithm_keys=["{FIELD}"]).'
        )
    views = torch.stack([PackInputs.format_input(sample.get(FIELD)) for sample in data_samples])
    return preprocessor(dict(inputs=views))['inputs']
