"""One file with CLIP's weights, read safely."""

import zipfile
from pathlib import Path

import torch

from mmdpt.utils.bounds import ROOM, check_values
from mmdpt.utils.tensor_files import load_tensors

from .torchscript import read_torchscript

# Keys of an OpenAI archive that describe the model and are not weights.
OPENAI_EXTRAS = ('input_resolution', 'context_length', 'vocab_size')


def read_weights(path: Path) -> tuple[dict[str, torch.Tensor], bool]:
    """Read a state dict from a weights file.

    Args:
        path (Path): An OpenAI ``.pt`` TorchScript archive, a safetensors
            file, or a state dict saved by ``torch.save`` (bare or under
            ``state_dict``). A ``module.`` prefix is taken off.

    Returns:
        tuple: The tensors by name, and whether they are known to come from
        OpenAI: its archive, its extra keys, or its name in the path.

    Raises:
        ValueError: If the file is damaged, holds no tensors, some that are not
            finite, or objects that only code could load.
    """
    path, archive = Path(path), False
    try:
        if path.suffix == '.safetensors':
            from safetensors.torch import load_file

            tensors = load_file(str(path))
        elif _is_torchscript(path):
            tensors = read_torchscript(str(path))
            archive = True
        else:
            tensors = load_tensors(str(path))
    except Exception as error:
        raise ValueError(
            f'{path} cannot be read as CLIP weights ({type(error).__name__}: '
            f'{str(error).splitlines()[0] if str(error) else ""}). Expected: '
            'an OpenAI .pt archive, safetensors, or a state dict of tensors '
            'only; download it again or convert it.'
        ) from error
    if isinstance(tensors, dict):
        tensors = tensors.get('state_dict', tensors)
    if (
        not isinstance(tensors, dict)
        or not tensors
        or not all(isinstance(v, torch.Tensor) for v in tensors.values())
    ):
        raise ValueError(
            f'{path} holds no state dict: expected tensors by name, found {type(tensors).__name__}.'
        )
    try:
        check_values(tensors, ROOM * path.stat().st_size)
    except ValueError as error:
        raise ValueError(f'{path} holds no weights of CLIP: {error}; download it again.') from None
    tensors = _without_prefix(tensors)
    named = archive or _named_openai(path)
    return tensors, named or any(k in tensors for k in OPENAI_EXTRAS)


def _is_torchscript(path: Path) -> bool:
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any('/code/' in name for name in archive.namelist())


def _named_openai(path: Path) -> bool:
    """The file, or the hub's folder it was downloaded to, is OpenAI's."""
    hub = [part for part in path.parts if part.startswith('models--')]
    return any('openai' in name.lower() for name in [path.name, *hub])


def _without_prefix(tensors: dict) -> dict[str, torch.Tensor]:
    """Take off the prefix that data-parallel training leaves."""
    if all(name.startswith('module.') for name in tensors):
        return {name[len('module.') :]: v for name, v in tensors.items()}
    return dict(tensors)
