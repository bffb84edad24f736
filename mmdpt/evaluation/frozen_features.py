"""Features of the frozen image tower, computed once and kept on disk.

Whatever does not prompt the image (zero-shot, CoOp, linear probe) sees the
same features of a fixed test set in every evaluation. So it is with training
images in fixed views, and with a teacher's logits of them.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple

import torch
from mmengine.dataset import default_collate
from mmengine.dist import (
    all_gather_object,
    broadcast_object_list,
    get_rank,
    get_world_size,
    is_main_process,
)
from torch.utils.data import DataLoader, Subset

from mmdpt.utils.cache import cache_folder

from .feature_keys import Work, cache_key, row_keys
from .kept_files import read_kept, write_kept

_rows: dict[str, torch.Tensor] | None = None  # key of an image -> its feature, see keep_rows


class Passes(NamedTuple):
    """How images pass through a frozen model.

    Attributes:
        batch_size: Images per forward pass.
        num_workers: Processes that load them.
        together: All processes of a training call alike: each computes a share, all get
            everything, the first one alone reads and writes the cache.
    """

    batch_size: int = 100
    num_workers: int = 0
    together: bool = False


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
    kind: str = 'features',
    view: int | None = None,
    cache_dir: str | bool | None = None,
    passes: Passes = Passes(),
) -> torch.Tensor:
    """Compute what a frozen model gives of fixed images, or read it from the cache.

    Args:
        model (PromptedCLIP): The model.
        dataset (BaseDataset): A set without random transforms, or at the epoch ``view``.
        indices (Sequence[int], optional): Which images, in which order. Defaults to all.
        kind (str): 'features', 'pooled' or 'logits', see :class:`Work`.
        view (int, optional): Which epoch's random transforms the images come from.
        cache_dir (str | bool, optional): Keep it there; True: in the cache's usual folder, see
            :func:`mmdpt.utils.cache.cache_folder`. The file's name is a hash of the model's
            weights, the transforms, and the images' names, sizes and times: with any other of
            these it is not found. One that was changed is made anew.
        passes (Passes): How the images pass through the model.

    Returns:
        Tensor: (N, E), (N, D) or (N, C), not normalised, on the CPU.
    """
    indices = list(range(len(dataset))) if indices is None else list(indices)
    work, folder = Work(model, dataset, kind, view), cache_folder(cache_dir)
    together = passes.together and get_world_size() > 1
    keeps = folder is not None and (not together or is_main_process())
    key = cache_key(work, indices) if keeps else ''
    kept = read_kept(folder, key, work, len(indices)) if folder and keeps else None
    if folder is not None and together:
        kept = _from_the_first(kept)
    if kept is not None:
        return kept
    compute = partial(_compute_together if together else _compute, work, passes)
    if _rows is None or view is not None or together:
        found = compute(indices)
    else:
        found = _from_rows(_rows, row_keys(work, indices), indices, compute)
    if folder and keeps:
        write_kept(found, folder, key, work)
    return found


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


def _compute_together(work: Work, passes: Passes, indices: list[int]) -> torch.Tensor:
    rank, world = get_rank(), get_world_size()
    if len(indices) < world:
        return _compute(work, passes, indices)
    shares = all_gather_object(_compute(work, passes, indices[rank::world]))
    found = shares[0].new_empty(len(indices), shares[0].shape[1])
    for first, share in enumerate(shares):
        found[first::world] = share
    return found


@torch.no_grad()
def _compute(work: Work, passes: Passes, indices: list[int]) -> torch.Tensor:
    loader = DataLoader(
        Subset(work.dataset, indices),
        batch_size=passes.batch_size,
        num_workers=passes.num_workers,
        collate_fn=default_collate,
    )
    parts = []
    for batch in loader:
        inputs = work.model.data_preprocessor(batch, training=False)['inputs']
        parts.append(work.encode(inputs).cpu())
    return torch.cat(parts)
