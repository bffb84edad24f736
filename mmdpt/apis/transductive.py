"""Classify photos together: ``mmdpt predict --transductive``."""

from collections.abc import Iterator, Sequence

import torch
from mmengine.dataset import Compose
from mmpretrain.structures import DataSample
from torch.utils.data import DataLoader

from ..evaluation.transclip import TransCLIP
from ..evaluation.transductive import check_model, features_and_probabilities, predictions
from .inferencer import PromptInferencer
from .photos import Photos, collate


def together(
    inferencer: PromptInferencer, paths: Sequence[str], batch_size: int = 32, num_workers: int = 0
) -> Iterator[dict]:
    """Classify image files by TransCLIP, each with all others in sight.

    Args:
        inferencer (PromptInferencer): Says what is likely of each image alone.
        paths (Sequence[str]): Image files, at least four that can be read.
        batch_size (int): Images per batch. Defaults to 32.
        num_workers (int): Processes that load images. Defaults to 0.

    Yields:
        dict: As :meth:`PromptInferencer.stream`, with ``transductive``; the first one when
        all have been looked at.

    Raises:
        ValueError: If the model gives no image features, or the images are too few.
    """
    model = inferencer.model
    check_model(model)
    photos = Photos(paths, Compose([inferencer.load, inferencer.pipeline]))
    told, parts = [], []
    for files, batch in DataLoader(photos, batch_size, num_workers=num_workers, collate_fn=collate):
        told += files
        if batch:
            parts.append(features_and_probabilities(model, batch))
    if not parts:  # the caller tells why
        yield from (dict(img_path=path, error=why) for path, why in told)
        return
    features, probabilities = (torch.cat(part).to(inferencer.device) for part in zip(*parts))
    assignments = TransCLIP(features, probabilities).run().cpu()
    samples = predictions(assignments, [DataSample() for _ in assignments])
    found = iter(inferencer.postprocess(samples, None))
    for path, why in told:
        yield (
            dict(img_path=path, error=why)
            if why
            else dict(next(found), img_path=path, transductive=True)
        )
