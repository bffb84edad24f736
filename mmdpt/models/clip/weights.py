"""CLIP's weights: found, fitted to an architecture, identified."""

import hashlib
from pathlib import Path

import torch

from .config import BUILTIN
from .hf_folder import read_hf_folder
from .places import in_folder, in_hub_cache, is_online, is_repository, looked_at, of_tag
from .weight_file import read_weights


def find_weights(name: str, config: dict, pretrained: str | None) -> Path | None:
    """Find the weights that ``pretrained`` means, downloading those of a tag.

    Args:
        name (str): The architecture.
        config (dict): Of the architecture.
        pretrained (str, optional): A file; a tag of open_clip; a folder with a file of
            open_clip, or in the layout of transformers; a repository of the hub, OWNER/NAME,
            in its cache on this machine.

    Returns:
        Path | None: A file, or a folder in the layout of transformers.

    Raises:
        FileNotFoundError: If there is no such file, folder, or repository in the cache.
        ConnectionError: If a tag's weights are not on this machine and cannot be downloaded.
    """
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

    tag = zoo.get_pretrained_cfg(name, str(pretrained))
    if not tag:
        return _of_no_tag(name, pretrained)
    if tag.get('quick_gelu', False) != config.get('quick_gelu', False):
        raise ValueError(_wrong_activation(name, pretrained, tag.get('quick_gelu', False)))
    found, seen = of_tag(name, str(pretrained), tag)
    return found or _download(name, pretrained, tag, seen)


def _of_no_tag(name: str, pretrained: str | Path) -> Path:
    """A folder, or a repository in the hub's cache."""
    folder = Path(pretrained).expanduser()
    if folder.is_dir():
        if found := in_folder(folder):
            return found
        raise FileNotFoundError(
            f'pretrained={str(pretrained)!r} is a folder without weights of CLIP. Looked for: '
            f'{_names(looked_at(folder))}.'
        )
    if is_repository(str(pretrained)):
        found, seen = in_hub_cache(str(pretrained))
        if found:
            return found
        raise FileNotFoundError(
            f"pretrained={str(pretrained)!r} is neither a folder nor a repository in the hub's "
            f'cache. Looked at: {_names([folder, *seen])}. Fetch it (hf download {pretrained}), '
            'or set HF_HOME to where the cache is.'
        )
    import open_clip.pretrained as zoo

    tags = zoo.list_pretrained_tags_by_model(name)
    looks_like_file = '/' in str(pretrained) or '.' in str(pretrained)
    other = name.replace('-quickgelu', '') if name.endswith('-quickgelu') else f'{name}-quickgelu'
    hint = f' {other} has it.' if zoo.get_pretrained_cfg(other, str(pretrained)) else ''
    raise (FileNotFoundError if looks_like_file else ValueError)(
        f'pretrained={str(pretrained)!r} is neither a file nor a tag of '
        f'{name}.{hint} Tags: {", ".join(tags) or "none"}; or give the '
        'path of a weights file, or None for random weights.'
    )


def _download(name: str, pretrained: str | Path, tag: dict, seen: list[Path]) -> Path:
    import open_clip.pretrained as zoo

    reason = 'huggingface.co does not answer, or HF_HUB_OFFLINE is set'
    if is_online():
        try:
            return Path(zoo.download_pretrained(tag))
        except Exception as error:
            reason = f'{type(error).__name__}: {error}'
    source = tag.get('url') or f'huggingface.co/{tag.get("hf_hub")}'
    raise ConnectionError(
        f'The weights of {name}, tag {pretrained!r}, cannot be downloaded ({reason}), and are '
        f'not on this machine. Looked at: {_names(seen)}. Without network: fetch {source} '
        'elsewhere and set model.pretrained to the file, or HF_HOME to where a cache is.'
    )


def _names(paths: list[Path]) -> str:
    return ', '.join(map(str, paths))


def is_tag(name: str, pretrained: str) -> bool:
    """Whether open_clip (or mmdpt) has weights of that name for an architecture."""
    import open_clip.pretrained as zoo

    return name == pretrained == BUILTIN or bool(zoo.get_pretrained_cfg(name, pretrained))


def fitting_weights(path: Path, name: str, config: dict, pretrained: str) -> dict:
    """Read a file for an architecture.

    Args:
        path (Path): The file, or a folder in the layout of transformers.
        name (str): Of the architecture, for messages.
        config (dict): Of the architecture.
        pretrained (str): What names the file, for messages.

    Raises:
        ValueError: If these are OpenAI's weights and the activation is not, or a folder's
            model is another one.
    """
    if path.is_dir():  # its config tells the activation
        return read_hf_folder(path, name, config)
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
