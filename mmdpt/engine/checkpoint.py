"""Reading checkpoints: tensors and plain Python only, or a clear refusal."""

import os.path as osp
import pickle
import re
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch
from mmengine.fileio import list_dir_or_file
from mmengine.runner.checkpoint import CheckpointLoader

from ..models.learnt_state import KEY
from ..utils.bounds import (
    ROOM,
    check_learnt,
    check_no_tensors,
    check_parts,
    check_pickle,
    check_values,
)
from .meta_schema import check_metadata
from .published import is_published, read_published

LEARNT = {'state_dict', 'ema_state_dict'}
MOST_BYTES = 10**12
CHOOSE_OTHER = 'choose another checkpoint, or train again'


class CheckpointError(ValueError):
    """A checkpoint that cannot or must not be used; says why and what to do."""


def plain(value, name='checkpoint'):
    """A copy that holds only tensors and plain Python.

    Args:
        value (Any): Nested dicts, lists and tuples of tensors, numbers,
            strings; NumPy scalars, arrays and paths are converted.
        name (str): What to call the value in an error.

    Returns:
        Any: The same without other types; an OrderedDict keeps its
        attributes (a state dict's ``_metadata``).

    Raises:
        TypeError: If an object of another type is inside; names its place.
    """
    if value is None or isinstance(value, (torch.Tensor, bool, int, float, str, bytes)):
        return _basic(value)
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return torch.from_numpy(value.copy())
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, dict):
        items = ((_basic(k), plain(v, f'{name}[{k!r}]')) for k, v in value.items())
        copy = OrderedDict(items) if type(value) is OrderedDict else dict(items)
        if hasattr(value, '_metadata'):
            copy._metadata = plain(value._metadata, f'{name}._metadata')
        return copy
    if isinstance(value, (list, tuple, set, frozenset)):
        items = [plain(v, f'{name}[{i}]') for i, v in enumerate(value)]
        return tuple(items) if isinstance(value, tuple) else items
    raise TypeError(
        f'{name} is a {type(value).__module__}.{type(value).__qualname__}: a '
        'checkpoint may hold tensors and plain Python only. Have the module that '
        'put it there store numbers, strings, lists or dicts'
    )


def _basic(value):
    """Undo subclasses such as ``np.float64``, which is a float."""
    for kind in (bool, int, float, str, bytes):
        if isinstance(value, kind):
            return kind(value)
    return value.item() if isinstance(value, np.generic) else value


def read_checkpoint(path, map_location='cpu'):
    """Read a checkpoint that training wrote, without running code from it.

    Args:
        path (str): The file, or a folder of the command publish.
        map_location (str): As in ``torch.load``.

    Returns:
        dict: With at least ``state_dict`` and ``meta``.

    Raises:
        FileNotFoundError: If there is no such file.
        CheckpointError: If it is damaged, carries code, or is not a checkpoint.
    """
    path = osp.expanduser(path)
    if is_published(path):
        try:
            return read_published(path)
        except ValueError as error:
            raise CheckpointError(str(error)) from error
    if osp.isdir(path):
        found = latest_checkpoint(path)
        inside = f': there is {found}' if found else ', of which it has none'
        raise FileNotFoundError(f'{path} is a folder, and a checkpoint is a file{inside}')
    if not osp.isfile(path):
        raise FileNotFoundError(
            f'no checkpoint file {path}: training writes them into its work '
            'directory, by default work_dirs/CONFIG_NAME/epoch_N.pth'
        )
    check_archive(path)
    try:
        checkpoint = torch.load(path, map_location=map_location, weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f'{path} is refused: it holds more than tensors and plain Python, so loading it '
            f'could run code ({_reason(error)}). Checkpoints of mmdpt never do; {CHOOSE_OTHER}'
        ) from error
    except Exception as error:
        raise CheckpointError(f'{path} is damaged ({_reason(error)}); {CHOOSE_OTHER}') from error
    check_content(checkpoint, path)
    return checkpoint


@CheckpointLoader.register_scheme(prefixes='mmdpt:', force=True)
def load_from_mmdpt(filename, map_location):
    """The same for MMEngine's ``load_checkpoint('mmdpt:FILE')``: what stands below this package,
    or reads files of torch alone, gets in by this door, too."""
    return read_checkpoint(filename.removeprefix('mmdpt:'), map_location or 'cpu')


def for_runner(path):
    """str: What the Runner's ``load_from`` must be for a checkpoint, perhaps a folder."""
    return f'mmdpt:{path}' if is_published(path) else path


def check_archive(path):
    """Recompute the checksums, which ``torch.load`` does not.

    Raises:
        CheckpointError: If one is wrong, or the file is not an archive.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            check_parts(archive, path)
            torn = archive.testzip()
            # torch does not read entries marked as folders, and leaves
            # the tensor with whatever was in memory
            folders = [
                e.filename for e in archive.infolist() if e.is_dir() or e.external_attr & 0x10
            ]
    except Exception as error:  # a flipped bit can upset zipfile in many ways
        raise CheckpointError(
            f'{path} is damaged, cut short or not a checkpoint at all ({_reason(error)}); '
            f'{CHOOSE_OTHER}'
        ) from error
    if torn:
        raise CheckpointError(
            f'{path} is damaged: the checksum of its part {torn} is wrong; {CHOOSE_OTHER}'
        )
    if folders:
        raise CheckpointError(
            f'{path} is damaged: its part {folders[0]} is marked as a folder; {CHOOSE_OTHER}'
        )
    try:
        check_pickle(path)
    except Exception as error:
        raise CheckpointError(f'{path} is damaged ({_reason(error)}); {CHOOSE_OTHER}') from error


def check_content(checkpoint, path):
    """Raise CheckpointError if what was loaded is not a checkpoint, or carries code."""
    if not isinstance(checkpoint, dict) or not isinstance(checkpoint.get('state_dict'), dict):
        raise CheckpointError(
            f"{path} is not a training checkpoint: it has no 'state_dict'. Weights "
            'of CLIP itself belong in model.pretrained'
        )
    meta = checkpoint.setdefault('meta', {})
    if not isinstance(meta, dict):
        raise CheckpointError(f"{path} is not a training checkpoint: its 'meta' is not a dict")
    try:
        check_values(checkpoint, room=ROOM * osp.getsize(path) if osp.isfile(path) else MOST_BYTES)
        for name in LEARNT & set(checkpoint):
            check_learnt(checkpoint[name], name)
        check_no_tensors(meta.get(KEY), f'meta[{KEY!r}]')
        check_metadata(getattr(checkpoint['state_dict'], '_metadata', {}))
    except ValueError as error:
        raise CheckpointError(f'{path} is refused: {error}; {CHOOSE_OTHER}') from error
    if 'config' in meta:
        # MMEngine's Runner.resume executes this text as Python.
        raise CheckpointError(
            f"{path} is refused: its meta['config'] would be run as Python "
            f'code on resuming. Checkpoints of mmdpt have none; {CHOOSE_OTHER}'
        )


def _reason(error):
    lines = str(error).strip().splitlines() or [type(error).__name__]
    found = re.search(r'Unsupported (?:global|class|operand)[^\n]*', str(error), re.IGNORECASE)
    return (found.group(0) if found else lines[0])[:200]


def latest_checkpoint(work_dir):
    """The checkpoint to resume from.

    Args:
        work_dir (str): Folder of a training.

    Returns:
        str | None: The file that ``last_checkpoint`` names, here or where it
        was written; without that, the one of the highest epoch; None if
        there is none.

    Raises:
        CheckpointError: If ``last_checkpoint`` names a file that is gone.
    """
    pointer, newest = osp.join(work_dir, 'last_checkpoint'), _newest(work_dir)
    if not osp.isfile(pointer):
        return newest
    with open(pointer, errors='replace') as file:
        named = file.read().strip()
    moved = osp.join(work_dir, osp.basename(named))
    for path in (named, moved):
        if osp.isfile(path):
            return path
    raise CheckpointError(
        f'{pointer} names {named[:200]!r}, which does not exist. Resume from a '
        f'file that does: --resume {newest or "FILE"}'
    )


def others(path):
    """list[str]: Other checkpoints beside a file, the newest first."""
    return [p for p in _numbered(osp.dirname(path)) if osp.basename(p) != osp.basename(path)]


def _newest(work_dir):
    return next(iter(_numbered(work_dir)), None)


def _numbered(work_dir):
    if not osp.isdir(work_dir):
        return []
    numbered = [
        (int(found.group(1)), name)
        for name in list_dir_or_file(work_dir, list_dir=False)
        if (found := re.fullmatch(r'(?:epoch|iter)_(\d+)\.pth', name))
    ]
    return [osp.join(work_dir, name) for _, name in sorted(numbered, reverse=True)]
