"""Trained models without pickles: a folder with safetensors and JSON."""

import hashlib
import os.path as osp
from collections import OrderedDict
from typing import Annotated, Any, Literal

import safetensors.torch
import torch
from pydantic import Field, ValidationError
from safetensors import SafetensorError

from ..evaluation.calibration import Calibration
from ..models.learnt_state import KEY
from ..utils.seal import read_sealed, sealed
from ..utils.values import Closed

WEIGHTS, CONFIG, CARD = 'model.safetensors', 'config.json', 'README.md'
LARGEST = 2**31  # bytes of the weights
Text = Annotated[str, Field(max_length=1000)]


class Clip(Closed):
    """The frozen model."""

    arch: Text
    pretrained: Text | None
    fingerprint: Text


class Recipe(Closed):
    """See :mod:`mmdpt.engine.recipe`, which checks what model and pipeline name."""

    version: int
    model: dict[str, Any]
    pipeline: Annotated[list[dict[str, Any]], Field(max_length=100)]


class Config(Closed):
    """``config.json``."""

    format: Literal['mmdpt']
    format_version: Annotated[int, Field(ge=1, le=1)]
    classes: Annotated[list[Text], Field(min_length=1, max_length=100_000)]
    clip: Clip
    recipe: Recipe
    weights: Annotated[str, Field(pattern='^[0-9a-f]{64}$')]
    draw_hash: Text | None
    seed: Annotated[int, Field(ge=0)] | None
    epoch: Annotated[int, Field(ge=0)] | None
    version: Text | None
    calibration: Calibration | None = None  # only of calibrated ones
    checksum: Text


def folder_content(checkpoint: dict, entry: dict) -> tuple[bytes, dict]:
    """What a checkpoint becomes: ``model.safetensors`` and ``config.json``.

    The same checkpoint gives the same bytes.

    Args:
        checkpoint (dict): With ``state_dict`` and ``meta``.
        entry (dict): What it says about itself, see :mod:`mmdpt.engine.entry`.

    Raises:
        ValueError: If it does not say what it belongs to.
    """
    meta = checkpoint['meta']
    tensors = {n: t.detach().clone().contiguous() for n, t in checkpoint['state_dict'].items()}
    weights = safetensors.torch.save(dict(sorted(tensors.items())))
    config = sealed(
        dict(
            format='mmdpt',
            format_version=1,
            classes=entry.get('classes'),
            clip=entry.get('clip'),
            recipe=entry.get('recipe'),
            weights=hashlib.sha256(weights).hexdigest(),
            draw_hash=entry.get('draw_hash'),
            seed=meta.get('seed'),
            epoch=meta.get('epoch'),
            version=entry.get('version'),
            **{k: entry[k] for k in ('calibration',) if entry.get(k)},
        )
    )
    return weights, _checked(config).model_dump(exclude_unset=True)


def _checked(config: dict) -> Config:
    try:
        return Config.model_validate(config)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = '.'.join(str(part)[:50] for part in first['loc'])
        raise ValueError(
            f'it does not say what it belongs to ({place}: {first["msg"].lower()})'
        ) from None


def is_published(path: str) -> bool:
    """Whether a path is such a folder, or claims to be one."""
    return osp.isdir(path) and osp.isfile(osp.join(path, CONFIG))


def read_published(folder: str) -> dict:
    """Read such a folder; nothing in it is a pickle, and nothing is run.

    Returns:
        dict: ``state_dict`` and ``meta``, as of a checkpoint.

    Raises:
        ValueError: If a file is missing, damaged, or was changed.
    """
    path = osp.join(folder, WEIGHTS)
    try:
        config = _checked(read_sealed(osp.join(folder, CONFIG)))
        if not osp.isfile(path) or osp.getsize(path) > LARGEST:
            raise ValueError(f'{WEIGHTS} is missing, or larger than {LARGEST // 2**30} GB')
        with open(path, 'rb') as file:
            data = file.read()
        if hashlib.sha256(data).hexdigest() != config.weights:
            raise ValueError(f'{WEIGHTS} is not what {CONFIG} describes: its checksum is wrong')
        tensors = safetensors.torch.load(data)
    except (ValueError, OSError, SafetensorError) as error:
        raise ValueError(f'{folder} is refused: {error}; fetch it again') from error
    identity: dict[str, Any] = dict(classes=config.classes, clip=config.clip.model_dump())
    state: OrderedDict[str, torch.Tensor] = OrderedDict(tensors)
    state._metadata = OrderedDict({'': {KEY: identity}})  # type: ignore[attr-defined]
    entry = dict(identity, recipe=config.recipe.model_dump())
    for name in ('draw_hash', 'version'):
        if getattr(config, name) is not None:
            entry[name] = getattr(config, name)
    if config.calibration is not None:
        entry['calibration'] = config.calibration.model_dump()
    about = {k: v for k, v in dict(seed=config.seed, epoch=config.epoch).items() if v is not None}
    return dict(state_dict=state, meta={**about, KEY: entry})
