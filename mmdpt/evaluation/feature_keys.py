"""What frozen work depends on: one key of a set of images, and one of each image by itself."""

import hashlib
import os
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import torch

from mmdpt.utils.cache import About


class Work(NamedTuple):
    """What a frozen model gives of images.

    Attributes:
        model: A ``PromptedCLIP``; its data preprocessor prepares the images.
        dataset: Without random transforms, or at the epoch ``view``.
        kind: Out of :data:`mmdpt.utils.cache.KINDS`: 'features' (E), 'pooled' (D) before the
            last projection, or 'logits' (C) of the model's teacher.
        view: Which epoch's random transforms the images come from.
    """

    model: Any
    dataset: Any
    kind: str = 'features'
    view: int | None = None

    @property
    def encode(self) -> Callable[[torch.Tensor], torch.Tensor]:
        """From normalised images (B, 3, H, W) to what is kept, (B, width)."""
        if self.kind == 'logits':
            return self.model._teacher[0]
        return partial(self.model.clip_features, pooled=self.kind == 'pooled')

    @property
    def width(self) -> int:
        """Columns of what is kept."""
        if self.kind == 'logits':
            return len(self.model.classes)
        tower = self.model.backbone
        return tower.width if self.kind == 'pooled' else tower.embed_dim

    def about(self, key: str, images: int, checksum: str) -> About:
        """What a file says of it."""
        clip = self.model.clip_identity
        return About(
            key=key,
            kind=self.kind,
            model=str(clip['arch'])[:1000],
            fingerprint=str(clip['fingerprint']),
            data=_in_words(self.dataset)[:1000],
            transforms=repr(self.dataset.pipeline)[:5000],
            view=self.view,
            images=images,
            checksum=checksum,
        )


def cache_key(work: Work, indices: list[int]) -> str:
    """Hash of all that the work on some images depends on: 32 hex digits."""
    digest = _setting(work)
    for i in indices:
        digest.update(_image(work.dataset, i))
    return digest.hexdigest()[:32]


def row_keys(work: Work, indices: list[int]) -> list[str]:
    """As :func:`cache_key`, of each image by itself."""
    setting, keys = _setting(work), []
    for i in indices:
        digest = setting.copy()
        digest.update(_image(work.dataset, i))
        keys.append(digest.hexdigest())
    return keys


def _setting(work: Work) -> 'hashlib._Hash':
    clip, pre = work.model.clip_identity, work.model.data_preprocessor
    digest = hashlib.sha256()
    for part in (
        work.kind,
        work.model._teacher[0].fingerprint() if work.kind == 'logits' else None,
        clip['arch'],
        clip['fingerprint'],
        str(next(work.model.backbone.parameters()).dtype),
        repr(work.dataset.pipeline),
        pre.to_rgb,
        getattr(pre, 'mean', None),
        getattr(pre, 'std', None),
        work.view,
        getattr(work.dataset, 'seed', None) if work.view is not None else None,
    ):
        digest.update(f'{part}\n'.encode())
    return digest


def _image(dataset: Any, i: int) -> bytes:
    """What tells an image from others: its path, and when it was written or what it shows."""
    path = dataset.get_data_info(i)['img_path']
    if os.path.isfile(path):
        found = os.stat(path)
        return f'{os.path.abspath(path)}\n{found.st_size} {found.st_mtime_ns}\n'.encode()
    return f'{path}\n'.encode() + dataset.images[path].tobytes()  # kept in memory, not a file


def _in_words(dataset: Any) -> str:
    """Which list of images it is."""
    said = getattr(dataset, 'metainfo', None) or {}
    split, shots = getattr(dataset, 'split', None), said.get('shots')
    parts = [' '.join(filter(None, [said.get('benchmark'), split]))]
    parts += [f'{said["subset"]} classes'] if said.get('subset') not in (None, 'all') else []
    parts += [f'{shots} shots, seed {said.get("seed")}'] if shots and split != 'test' else []
    return ', '.join(filter(None, parts))
