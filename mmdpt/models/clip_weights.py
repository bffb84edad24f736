"""Read the weights of a CLIP from a local file, without running its code."""

import zipfile
from pathlib import Path

import torch

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
        ValueError: If the file is damaged, holds no tensors, or holds objects
            that only code could load.
    """
    path = Path(path)
    try:
        if path.suffix == '.safetensors':
            from safetensors.torch import load_file

            tensors = load_file(str(path))
        elif _is_torchscript(path):
            tensors = torch.jit.load(str(path), map_location='cpu').state_dict()
            return _without_prefix(tensors), True
        else:
            tensors = torch.load(path, map_location='cpu', weights_only=True)
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
    tensors = _without_prefix(tensors)
    return tensors, any(k in tensors for k in OPENAI_EXTRAS) or _named_openai(path)


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
