"""A data set of Hugging Face's ``datasets`` on the disk, as photos and a CSV file."""

import csv
import os
import os.path as osp
from typing import Any

from mmdpt.utils.files import replacing

MARKS = ('dataset_dict.json', 'state.json', 'dataset_info.json')
PARTS = dict(train='train', validation='val', valid='val', val='val', test='test')


def is_hub_data(path: str) -> bool:
    """Whether a folder is what ``save_to_disk`` writes."""
    return osp.isdir(path) and any(osp.isfile(osp.join(path, name)) for name in MARKS)


def export(path: str, folder: str) -> str:
    """Write the photos of a data set, and a CSV file that lists them.

    Args:
        path (str): What ``save_to_disk`` wrote; read without code of its own.
        folder (str): Where to write.

    Returns:
        str: The CSV file.

    Raises:
        ImportError: If ``datasets`` is not installed.
        ValueError: If there is no single column of images, or none of labels.
    """
    try:
        from datasets import DatasetDict, load_from_disk
    except ImportError:
        raise ImportError(
            f"{path!r} is a data set of Hugging Face's: pip install 'mmdpt[hf]', or give a folder "
            'with one subfolder of photos per class.'
        ) from None
    found = load_from_disk(path)
    sets = found if isinstance(found, DatasetDict) else {'': found}
    unknown = sorted(set(sets) - {'', *PARTS})
    if unknown:
        raise ValueError(f'{path!r} has the part {unknown[0]!r}; known are {", ".join(PARTS)}.')
    rows = []
    for name, part in sets.items():
        image, label = _columns(part.features, path)
        os.makedirs(osp.join(folder, name), exist_ok=True)
        names = getattr(part.features[label], 'names', None)
        for i, row in enumerate(part):
            place = osp.join(name, f'{i:06}.png')
            row[image].save(osp.join(folder, place))
            value = row[label] if names is None else names[row[label]]
            rows.append([place, value, *([PARTS[name]] if len(sets) > 1 else [])])
    lists = osp.join(folder, 'photos.csv')
    with replacing(lists) as place, open(place, 'w', newline='', encoding='utf-8') as file:
        csv.writer(file).writerows([['path', 'label', 'split'][: len(rows[0])], *rows])
    return lists


def _columns(features: dict[str, Any], path: str) -> tuple[str, str]:
    """The names of the columns of images and of labels."""
    images = [name for name, kind in features.items() if type(kind).__name__ == 'Image']
    labels = [name for name, kind in features.items() if type(kind).__name__ == 'ClassLabel']
    if len(labels) != 1:
        labels = [str(name) for name in ('label', 'labels') if name in features][:1]
    if len(images) != 1 or not labels:
        raise ValueError(
            f'{path!r} has the columns {", ".join(features)}: there must be one of images, and '
            "one of class labels, or called 'label'."
        )
    return images[0], labels[0]
