"""A teacher's logits of augmented training images, computed once and kept on disk."""

import torch

from .frozen_features import frozen_features


def teacher_logits(
    model, dataset, view: int, batch_size: int, num_workers: int, cache_dir: str
) -> torch.Tensor:
    """Compute the logits of one view of every image, or read them from the cache.

    The augmentation of an image depends on the dataset's seed, the epoch and its
    index alone, so view v is what epoch v of the training shows.

    Args:
        model (PromptedCLIP): The student; its teacher answers.
        dataset (BaseFewShotDataset): The training images.
        view (int): Which augmented view, from 0.
        batch_size (int): Images per forward pass.
        num_workers (int): Processes that load images.
        cache_dir (str): Folder of the kept logits. A file's name is a hash of
            the teacher, the transforms, seed and view, and the images' files.

    Returns:
        Tensor: (N, C), on the CPU.
    """
    (teacher,) = model._teacher
    dataset.set_epoch(view)
    return frozen_features(
        model,
        dataset,
        None,
        batch_size,
        num_workers,
        cache_dir,
        together=True,
        encode=teacher,
        width=len(model.classes),
        also=teacher.fingerprint(),
        view=view,
    )
