"""Frozen work on the disk: one tensor in one file, which is whole and of its key, or not read."""

import hashlib
import os.path
from pathlib import Path

import safetensors.torch
import torch
from mmengine.logging import print_log
from safetensors import SafetensorError, safe_open

from mmdpt.utils.cache import ENDING, META, ROOM, megabytes, note_use, read_about
from mmdpt.utils.files import write_atomically

from .feature_keys import Work

CALLED = dict(features='Image features', pooled='Image features', logits="The teacher's logits")


def read_kept(folder: str, key: str, work: Work, images: int) -> torch.Tensor | None:
    """What was kept, (N, width), or None if there is nothing that can be used.

    Args:
        folder (str): Of the cache.
        key (str): Of the work on these images.
        work (Work): Its kind is told, and its width checked.
        images (int): N.
    """
    path = Path(folder) / f'{key}{ENDING}'
    if not path.is_file():
        return None
    try:
        found = _checked(path, key, (images, work.width))
    except (ValueError, OSError, SafetensorError) as error:
        print_log(
            f'{path} is damaged ({error}); computing the features anew', logger='current', level=30
        )
        return None
    note_use(str(path))
    _tell(work, images, f'read from {path}', path)
    return found


def write_kept(found: torch.Tensor, folder: str, key: str, work: Work) -> None:
    """Keep the work on some images, (N, width); it is complete, or not there.

    Raises:
        OSError: If it cannot be written.
    """
    path = Path(folder) / f'{key}{ENDING}'
    about = work.about(key, len(found), _checksum(found, key))
    data = safetensors.torch.save(
        dict(features=found.contiguous()), {META: about.model_dump_json()}
    )
    write_atomically(data, str(path))
    _tell(work, len(found), f'kept in {path}', path)


def _tell(work: Work, images: int, what: str, path: Path) -> None:
    size = megabytes(path.stat().st_size)
    print_log(f'{CALLED[work.kind]} of {images} images {what} ({size})', logger='current')


def _checked(path: Path, key: str, shape: tuple[int, int]) -> torch.Tensor:
    """The kept tensor.

    Raises:
        ValueError, OSError, SafetensorError: If this is not it.
    """
    most = shape[0] * shape[1] * 8 + ROOM
    if path.stat().st_size > most:
        raise ValueError(f'it has {path.stat().st_size} bytes, more than {most}')
    about = read_about(os.path.realpath(path))
    with safe_open(path, 'pt') as file:
        names = list(file.keys())
        if names != ['features']:
            raise ValueError(f'it holds {len(names)} tensors, and not the features alone')
        found = file.get_tensor('features')
    if tuple(found.shape) != shape or not found.is_floating_point():
        raise ValueError(f'it holds {tuple(found.shape)} {found.dtype}, expected {shape}')
    if about.checksum != _checksum(found, key):
        raise ValueError('its checksum is wrong')
    if not torch.isfinite(found).all():
        raise ValueError('not finite')
    return found


def _checksum(found: torch.Tensor, key: str) -> str:
    """Hash of a tensor and of what it belongs to."""
    digest = hashlib.sha256(f'{key} {found.dtype} {tuple(found.shape)}'.encode())
    digest.update(found.contiguous().view(torch.uint8).numpy().data)
    return digest.hexdigest()
