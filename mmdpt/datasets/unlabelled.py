"""Images to learn from without labels."""

import os
import os.path as osp

from .index import image_names


def images_below(folder: str) -> list[str]:
    """Names, with folders, of the images in a folder and below it, sorted, without hidden ones.

    Raises:
        FileNotFoundError: If there is no such folder.
    """
    folder = osp.expanduser(folder)
    if not osp.isdir(folder):
        raise FileNotFoundError(
            f'The folder of unlabelled images {folder!r} does not exist: set '
            'train_dataloader.dataset.unlabelled to one, or to True for the train list.'
        )
    found = []
    for place, folders, _ in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith('.')]
        within = osp.relpath(place, folder)
        found += [osp.normpath(osp.join(within, name)) for name in image_names(place)]
    return sorted(found)


def check_unlabelled(unlabelled: bool | str, split: str, shots: int | None, subset: str) -> None:
    """Raise unless nothing about the images to learn from without labels needs labels.

    Raises:
        TypeError, ValueError: Names the argument.
    """
    if not isinstance(unlabelled, (bool, str)):
        raise TypeError(f'unlabelled must be True, False or a folder, got {unlabelled!r}.')
    if not unlabelled:
        return
    for name, value, needed in (
        ('split', split, 'train'),
        ('shots', shots, None),
        ('subset', subset, 'all'),
    ):
        if value != needed:
            raise ValueError(
                f'unlabelled={unlabelled!r} is for the training on all images, without a draw or a '
                f'choice by labels: it needs {name}={needed!r}, got {value!r}.'
            )
