"""The photos of a run: where they are, how many were learnt from, what is wrong with them.

A config is never run for it: its datasets are read as plain values, and only those of ours are
built.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import cv2
import numpy as np
from pydantic import Field, ValidationError

from mmdpt.datasets import DigitsDataset, FewShotDataset
from mmdpt.datasets.base import BaseFewShotDataset
from mmdpt.datasets.data_protocol import DataProtocol
from mmdpt.datasets.doctor import check_dataset
from mmdpt.datasets.pictures import background_of
from mmdpt.datasets.shared import innermost
from mmdpt.datasets.transforms import read_picture
from mmdpt.engine.collect_predictions import image_keys
from mmdpt.engine.hooks import image_paths
from mmdpt.utils.values import Closed, first_fault

MOST_CHECKED = 5000  # photos of which every header is read while one waits for the report
Text = Annotated[str, Field(max_length=4096)]
Texts = Annotated[list[Text] | tuple[Text, ...], Field(max_length=100_000)]
Shares = Annotated[list[float] | tuple[float, ...], Field(min_length=3, max_length=3)]


class Own(Closed):
    """Own data, as a config describes them."""

    name: Text = 'Own'
    classes: Text | Texts | None = None
    templates: Text | Texts | None = None
    image_dir: Text = ''
    fractions: Shares = (0.5, 0.2, 0.3)
    allow_leaks: bool = False
    draw_val: bool = True
    rename: Text | dict[Text, Text] | None = None


class Source(Closed):
    """A dataset of ours in a config, as far as it says which photos there are."""

    type: Literal['FewShotDataset', 'DigitsDataset']
    benchmark: Text | Own
    data_root: Text | None = None
    split: Literal['train', 'val', 'test']
    shots: Annotated[int, Field(ge=1)] | None = None
    seed: Annotated[int, Field(ge=0)] = 1
    subset: Literal['all', 'base', 'new'] = 'all'
    allow_fewer: bool = False
    draws: Text | None = None
    protocol: DataProtocol | None = None  # of the training images; photos are shown as they are


class PhotoFiles:
    """The photos by the names that stored predictions have for them.

    Args:
        dataset (BaseFewShotDataset): With the test list.
        pipeline (Sequence[dict]): Configs of the test transforms, the first of which loads.
    """

    def __init__(self, dataset: BaseFewShotDataset, pipeline: list[dict]) -> None:
        self._images = dataset.images
        paths = image_paths(dataset)
        self._paths = dict(zip(image_keys(dataset, paths), paths))
        loader = pipeline[0] if pipeline and isinstance(pipeline[0], dict) else {}
        self._options: dict[str, Any] = dict(
            upright=loader.get('upright') is True, background=background_of([loader])
        )

    def read(self, image: str) -> np.ndarray:
        """A photo as training sees it before it is resized, RGB, uint8, (H, W, 3).

        Raises:
            OSError: If it is not there, or not a photo of the run.
            ValueError: If it does not decode.
        """
        path = self._paths.get(image)
        if path is None:
            raise FileNotFoundError(f'{image!r} is not among the test photos of the config')
        if path in self._images:
            return cv2.cvtColor(self._images[path], cv2.COLOR_BGR2RGB)
        return read_picture(path, **self._options)[0]


def open_photos(config: Mapping[str, Any], part: str = 'test') -> tuple[PhotoFiles | None, str]:
    """The photos of a config.

    Args:
        config (Mapping): As :func:`mmdpt.results.left_config.read_left_config` reads it.
        part (str): Which list: 'test' or 'train'.

    Returns:
        tuple: The photos, or None with the reason.
    """
    try:
        dataset, loader = _dataset(config, part)
        return PhotoFiles(dataset, loader.get('pipeline') or []), ''
    except (ValueError, TypeError, OSError) as error:
        return None, str(error)


def training_counts(config: Mapping[str, Any]) -> dict[str, int] | None:
    """Training photos per class; None where the config does not say, or they have no labels."""
    try:
        dataset, _ = _dataset(config, 'train')
    except (ValueError, TypeError, OSError):
        return None
    counts = Counter(dataset.get_data_info(i)['gt_label'] for i in range(len(dataset)))
    return {name: counts[label] for label, name in enumerate(dataset.metainfo['classes'])}


def data_warnings(config: Mapping[str, Any]) -> list[str]:
    """What :mod:`mmdpt.datasets.doctor` finds wrong with the data on the disk, or worth a note."""
    try:
        dataset, _ = _dataset(config, 'test')
        layout = getattr(dataset, 'layout', None)
        if layout is None:
            return []  # nothing on the disk
        number = sum(map(len, layout.lists()))
    except (ValueError, TypeError, OSError) as error:
        return [f'The data were not checked: {error}']
    if number > MOST_CHECKED:
        return [
            f'The {number} photos were not checked, more than {MOST_CHECKED}: mmdpt check_dataset '
            'does it'
        ]
    return [f.text for f in check_dataset(layout) if f.note or not f.ok]


def _described(config: Mapping[str, Any], part: str) -> dict[str, Any]:
    """The config of a dataset.

    Raises:
        ValueError: If there is none.
    """
    loader, shared = config.get(f'{part}_dataloader'), config.get('dataset')
    found = list(innermost(loader.get('dataset') if isinstance(loader, dict) else None))
    if len(found) == 1 and isinstance(found[0], dict) and 'type' in found[0]:
        return found[0]
    if isinstance(shared, dict) and 'data_root' in shared:  # a short one, as mmdpt fit writes it
        own = {key: shared[key] for key in Own.model_fields if key in shared}
        return dict(
            type='FewShotDataset',
            benchmark=own,
            data_root=shared['data_root'],
            split=part,
            pipeline=[dict(type='LoadPILImage', upright=True)],  # as datasets/custom.py has it
        )
    raise ValueError(f'the config in the folder names no dataset ({part}_dataloader)')


def _dataset(config: Mapping[str, Any], part: str) -> tuple[BaseFewShotDataset, dict[str, Any]]:
    """A dataset with its list, but without reading files that it names, and its config.

    Raises:
        OSError: If the data are not there.
        TypeError, ValueError: If it is none that can be listed; says why.
    """
    found = _described(config, part)
    said = {k: v for k, v in found.items() if k in Source.model_fields and v is not None}
    if part == 'test':
        said.pop('protocol', None)
    if isinstance(said.get('benchmark'), dict):
        said['benchmark'] = {k: v for k, v in said['benchmark'].items() if v not in (None, {})}
    try:
        source = Source.model_validate(said)
    except ValidationError as error:
        raise ValueError(f'the {part} data are no dataset of ours: {first_fault(error)}') from None
    if found.get('unlabelled'):
        raise ValueError('the training photos have no labels')
    given = source.model_dump(exclude={'type'}, exclude_unset=True)
    if source.type == 'DigitsDataset':
        digits = DigitsDataset(**given)
        return digits, found
    dataset = FewShotDataset(**given, lazy_init=True)
    BaseFewShotDataset.full_init(dataset)  # without the look at each file
    return dataset, found
