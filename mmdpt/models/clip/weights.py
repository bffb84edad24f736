"""Files with CLIP's weights: found, read safely, identified."""

import hashlib
import zipfile
from pathlib import Path

import torch

from mmdpt.utils.bounds import ROOM, check_values
from mmdpt.utils.tensor_files import load_tensors

from .config import BUILTIN
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


def find_weights(name: str, config: dict, pretrained: str | None) -> Path | None:
    """Return the local file of ``pretrained``, downloading a tag's file."""
    if pretrained is None:
        return None
    if not isinstance(pretrained, (str, Path)):
        raise TypeError(
            'pretrained must be an open_clip tag, a file or None,'
            f' but is {type(pretrained).__name__}.'
        )
    if name == BUILTIN and pretrained == BUILTIN:
        from mmdpt import tiny_clip

        return Path(tiny_clip.WEIGHTS)
    if Path(pretrained).is_file():
        return Path(pretrained)
    import open_clip.pretrained as zoo

    tags = zoo.list_pretrained_tags_by_model(name)
    tag = zoo.get_pretrained_cfg(name, str(pretrained))
    if not tag:
        looks_like_file = '/' in str(pretrained) or '.' in str(pretrained)
        other = (
            name.replace('-quickgelu', '') if name.endswith('-quickgelu') else f'{name}-quickgelu'
        )
        hint = f' {other} has it.' if zoo.get_pretrained_cfg(other, str(pretrained)) else ''
        raise (FileNotFoundError if looks_like_file else ValueError)(
            f'pretrained={str(pretrained)!r} is neither a file nor a tag of '
            f'{name}.{hint} Tags: {", ".join(tags) or "none"}; or give the '
            'path of a weights file, or None for random weights.'
        )
    if tag.get('quick_gelu', False) != config.get('quick_gelu', False):
        raise ValueError(_wrong_activation(name, pretrained, tag.get('quick_gelu', False)))
    try:
        return Path(zoo.download_pretrained(tag))
    except Exception as error:
        source = tag.get('url') or f'huggingface.co/{tag.get("hf_hub")}'
        raise ConnectionError(
            f'The weights of {name}, tag {pretrained!r}, cannot be '
            f'downloaded ({type(error).__name__}: {error}). Without network: '
            f'fetch {source} elsewhere and set model.pretrained to the '
            'file.'
        ) from error


def is_tag(name: str, pretrained: str) -> bool:
    """Whether open_clip (or mmdpt) has weights of that name for an architecture."""
    import open_clip.pretrained as zoo

    return name == pretrained == BUILTIN or bool(zoo.get_pretrained_cfg(name, pretrained))


def fitting_weights(path: Path, name: str, config: dict, pretrained: str) -> dict:
    """Read a file for an architecture.

    Args:
        path (Path): The file.
        name (str): Of the architecture, for messages.
        config (dict): Of the architecture.
        pretrained (str): What names the file, for messages.

    Raises:
        ValueError: If these are OpenAI's weights and the activation is not.
    """
    weights, from_openai = read_weights(path)
    if from_openai and not config.get('quick_gelu', False):
        raise ValueError(_wrong_activation(name, pretrained, True))
    return weights


def _wrong_activation(name: str, pretrained: str, quick_gelu: bool) -> str:
    stem = name.replace('-quickgelu', '')
    trained, remedy = ('QuickGELU', f'{stem}-quickgelu') if quick_gelu else ('GELU', stem)
    return (
        f'pretrained={str(pretrained)!r} was trained with {trained}, but '
        f'{name} computes with the other activation, which silently '
        f'costs accuracy. Use arch={remedy!r} (in a config of your own: '
        f'quick_gelu={quick_gelu}).'
    )


def weights_fingerprint(state_dict: dict[str, torch.Tensor]) -> str:
    """Hash the weights: 16 hex digits, equal for the same weights stored in
    single or in half precision."""
    digest = hashlib.sha256()
    for name in sorted(state_dict):
        values = state_dict[name].detach().to('cpu', torch.float16)
        digest.update(f'{name}{tuple(values.shape)}'.encode())
        digest.update(values.contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]
