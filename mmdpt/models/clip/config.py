"""Which CLIP: the architecture, read and checked before anything is built."""

import difflib
import json
from pathlib import Path

BUILTIN = 'mmdpt-tiny'


def read_config(arch: str | dict):
    """Return ``(name, config)`` of an architecture, the config in open_clip's
    form (``embed_dim``, ``vision_cfg``, ``text_cfg``, ``quick_gelu``)."""
    if isinstance(arch, dict):
        return 'custom', _check_config(dict(arch), 'the arch dict')
    if not isinstance(arch, (str, Path)):
        raise TypeError(
            f'arch must be a name, a JSON file or a dict, but is {type(arch).__name__}: {arch!r}.'
        )
    arch = str(arch)
    if arch == BUILTIN:
        from mmdpt import tiny_clip

        return BUILTIN, _read_json(Path(tiny_clip.CONFIG))
    if arch.endswith('.json'):
        return Path(arch).stem, _read_json(Path(arch))
    import open_clip

    config = open_clip.get_model_config(arch.replace('/', '-'))
    if config is None:
        near = difflib.get_close_matches(arch, [BUILTIN, *open_clip.list_models()], n=3, cutoff=0.5)
        raise ValueError(
            f'arch={arch!r} is not an architecture that open_clip knows; '
            f'nearest: {", ".join(near) or "none"}. A path must end in .json.'
        )
    return arch.replace('/', '-'), _check_config(config, arch)


def is_known(arch: str) -> bool:
    """Whether a name is one of ours or open_clip's, and no file or place on a hub."""
    import open_clip

    return arch == BUILTIN or arch.replace('/', '-') in open_clip.list_models()


def _read_json(path: Path) -> dict:
    if not path.is_file():
        raise FileNotFoundError(
            f'arch={str(path)!r} does not exist; give an open_clip name or the path of a JSON file.'
        )
    try:
        config = json.loads(path.read_text(encoding='utf-8'))
    except ValueError as error:
        raise ValueError(f'{path} is not valid JSON: {error}') from error
    config = _check_config(config, str(path))
    # Paths in the JSON file are relative to it.
    text = config['text_cfg']
    kwargs = text.get('tokenizer_kwargs') or {}
    if 'bpe_path' in kwargs:
        kwargs['bpe_path'] = str(path.parent / kwargs['bpe_path'])
    hf_name = text.get('hf_tokenizer_name')
    if hf_name and (path.parent / hf_name).exists():
        text['hf_tokenizer_name'] = str(path.parent / hf_name)
    return config


def _check_config(config: dict, source: str) -> dict:
    config = config.get('model_cfg', config)  # a hub's open_clip_config.json
    missing = {'embed_dim', 'vision_cfg', 'text_cfg'} - set(config)
    if missing:
        raise ValueError(
            f'{source} lacks {", ".join(sorted(missing))}: an open_clip '
            'config has embed_dim, vision_cfg and text_cfg.'
        )
    return config


def check_supported(name: str, config: dict) -> None:
    if 'multimodal_cfg' in config:
        raise ValueError(
            f'{name} is a CoCa, which writes captions; that is not supported. Use a plain CLIP.'
        )
    if config['text_cfg'].get('hf_model_name'):
        raise ValueError(
            f'The text tower of {name} is a Hugging Face model '
            f'({config["text_cfg"]["hf_model_name"]}), whose blocks take no '
            'prompts; use a CLIP with a text tower of its own, such as '
            'ViT-B-16-quickgelu.'
        )
