"""Features of the frozen image tower, computed once and kept on disk.

Whatever does not prompt the image (zero-shot, CoOp, linear probe) sees the
same features of a fixed test set in every evaluation.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import safetensors.torch
import torch
from mmengine.dataset import default_collate
from mmengine.dist import (
    all_gather_object,
    broadcast_object_list,
    get_rank,
    get_world_size,
    is_main_process,
)
from mmengine.logging import print_log
from safetensors import SafetensorError, safe_open
from torch.utils.data import DataLoader, Subset

from mmdpt.utils.files import write_atomically

from .feature_keys import cache_key, row_keys

ROOM = 2**16  # bytes of a file beside the features
_rows: dict[str, torch.Tensor] | None = None  # key of an image -> its feature, see keep_rows


@contextmanager
def keep_rows() -> Iterator[None]:
    """Keep each image's feature in memory inside, for other lists of the same images: folds."""
    global _rows
    before, _rows = _rows, {} if _rows is None else _rows
    try:
        yield
    finally:
        _rows = before


def keeps_rows() -> bool:
    """Whether the features of each image are kept, see :func:`keep_rows`."""
    return _rows is not None


def frozen_features(
    model,
    dataset,
    indices: Sequence[int] | None = None,
    batch_size: int = 100,
    num_workers: int = 0,
    cache_dir: str | None = None,
    together: bool = False,
    encode: Callable[[torch.Tensor], torch.Tensor] | None = None,
    width: int | None = None,
    also: str = '',
    pooled: bool = False,
    view: int | None = None,
) -> torch.Tensor:
    """Compute the features of a fixed set, or read them from the cache.

    Args:
        model (PromptedCLIP): Its ``clip_features`` and ``data_preprocessor`` are used.
        dataset (BaseDataset): A set without random transforms, or at the epoch ``view``.
        indices (Sequence[int], optional): Which images, in which order. Defaults to all.
        batch_size, num_workers (int): Images per forward pass, and processes that load them.
        cache_dir (str, optional): Keep the features there. The file's name is a hash of CLIP's
            weights, the transforms, and the files' names, sizes and times: with any other of
            these it is not found. One that was changed is made anew.
        together (bool): All processes call this alike: each computes a share, all get everything,
            the first one alone reads and writes the cache. Defaults to False.
        encode (Callable, optional): Gives what is kept of normalised images, (B, 3, H, W).
            Defaults to the model's ``clip_features``.
        width (int, optional): Its columns. Defaults to E.
        also (str): What ``encode`` depends on besides, for the file's name.
        pooled (bool): Those before the last projection. Defaults to False.
        view (int, optional): Which epoch's random transforms they come from.

    Returns:
        Tensor: (N, E), or (N, D) if ``pooled``, not normalised, on the CPU.
    """
    indices = list(range(len(dataset))) if indices is None else list(indices)
    together = together and get_world_size() > 1
    encode = encode or partial(model.clip_features, pooled=pooled)
    width = width or (model.backbone.width if pooled else model.backbone.embed_dim)
    path = kept = None
    if cache_dir is not None and (not together or is_main_process()):
        key = cache_key(model, dataset, indices, also, pooled, view)
        path = Path(cache_dir) / f'{key}.safetensors'
        kept = _read(path, key, (len(indices), width))
    if cache_dir is not None and together:
        kept = _from_the_first(kept)
    if kept is not None:
        print_log(f'Image features read from {cache_dir}', logger='current')
        return kept
    kind = _compute_together if together else _compute
    compute = partial(kind, encode, model, dataset, batch_size, num_workers)
    if _rows is None or view is not None or together:
        features = compute(indices)
    else:
        keys = row_keys(model, dataset, indices, also, pooled)
        features = _from_rows(_rows, keys, indices, compute)
    if path is not None:
        _write(features, path, key)
    return features


def _from_rows(rows: dict, keys: list, indices: list[int], compute: Callable) -> torch.Tensor:
    """Features by image, of which those that are not there yet are computed and kept."""
    new = {key: i for key, i in zip(keys, indices) if key not in rows}
    if new:
        rows.update(zip(new, compute(list(new.values()))))
    return torch.stack([rows[key] for key in keys])


def _from_the_first(kept: torch.Tensor | None) -> torch.Tensor | None:
    found = [kept]
    broadcast_object_list(found)
    return found[0]


def _write(features: torch.Tensor, path: Path, key: str) -> None:
    about = dict(checksum=_checksum(features, key))
    data = safetensors.torch.save(dict(features=features.contiguous()), about)
    write_atomically(data, str(path))
    print_log(f'Image features kept in {path}', logger='current')


def _compute_together(encode, model, dataset, batch_size, num_workers, indices):
    compute = partial(_compute, encode, model, dataset, batch_size, num_workers)
    rank, world = get_rank(), get_world_size()
    if len(indices) < world:
        return compute(indices)
    shares = all_gather_object(compute(indices[rank::world]))
    features = shares[0].new_empty(len(indices), shares[0].shape[1])
    for first, share in enumerate(shares):
        features[first::world] = share
    return features


@torch.no_grad()
def _compute(encode, model, dataset, batch_size, num_workers, indices):
    loader = DataLoader(
        Subset(dataset, indices),
        batch_size=batch_size,
        num_workers=num_workers,
        collate_fn=default_collate,
    )
    parts = []
    for batch in loader:
        inputs = model.data_preprocessor(batch, training=False)['inputs']
        parts.append(encode(inputs).cpu())
    return torch.cat(parts)


def _read(path: Path, key: str, shape: tuple[int, int]) -> torch.Tensor | None:
    """The kept features, or None if there are none that can be used."""
    if not path.is_file():
        return None
    try:
        return _checked(path, key, shape)
    except (ValueError, OSError, SafetensorError) as error:
        print_log(
            f'{path} is damaged ({error}); computing the features anew', logger='current', level=30
        )
    return None


def _checked(path: Path, key: str, shape: tuple[int, int]) -> torch.Tensor:
    """The kept features.

    Raises:
        ValueError, OSError, SafetensorError: If these are not they.
    """
    most = shape[0] * shape[1] * 8 + ROOM
    if path.stat().st_size > most:
        raise ValueError(f'it has {path.stat().st_size} bytes, more than {most}')
    with safe_open(path, 'pt') as file:
        names, about = list(file.keys()), file.metadata() or {}
        if names != ['features']:
            raise ValueError(f'it holds {len(names)} tensors, and not the features alone')
        features = file.get_tensor('features')
    if tuple(features.shape) != shape or not features.is_floating_point():
        raise ValueError(f'it holds {tuple(features.shape)} {features.dtype}, expected {shape}')
    if about.get('checksum') != _checksum(features, key):
        raise ValueError('its checksum is wrong')
    if not torch.isfinite(features).all():
        raise ValueError('not finite')
    return features


def _checksum(features: torch.Tensor, key: str) -> str:
    """Hash of features and of what they belong to."""
    digest = hashlib.sha256(f'{key} {features.dtype} {tuple(features.shape)}'.encode())
    digest.update(features.contiguous().view(torch.uint8).numpy().data)
    return digest.hexdigest()
