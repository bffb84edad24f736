"""Load a CLIP model through open_clip: architecture, weights, tokenizer.

Everything that can be wrong with the architecture or the weights is found and
reported before the model (or anything else) is built.
"""

import difflib
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn as nn
from mmengine.logging import print_log

from .clip_weights import OPENAI_EXTRAS, read_weights
from .normalisation import Normalisation, trained_normalisation
from .tokenizer import build_tokenizer

PRECISIONS = dict(fp64=torch.float64, fp32=torch.float32, bf16=torch.bfloat16, fp16=torch.float16)
BUILTIN = 'mmdpt-tiny'


class CLIPModel(NamedTuple):
    """A loaded CLIP.

    Attributes:
        model (nn.Module): open_clip's ``CLIP``, frozen.
        tokenizer (Callable): open_clip's tokenizer of this architecture.
        logit_scale (Tensor): exp of the learnt temperature, at least single
            precision.
        identity (dict): ``arch`` (str), ``pretrained`` (str or None) and
            ``fingerprint`` (str) of the weights; plain Python.
        embed_dim (int): E, size of the joint space.
        normalisation (Normalisation, optional): Of the images that the
            weights were trained on, where it is known.
    """

    model: nn.Module
    tokenizer: Callable
    logit_scale: torch.Tensor
    identity: dict[str, str | None]
    embed_dim: int
    normalisation: Normalisation | None = None


def load_clip(
    arch: str | dict, pretrained: str | None, precision: str = 'fp32', tokenizer: str | None = None
) -> CLIPModel:
    """Load CLIP through open_clip and freeze it.

    Args:
        arch (str | dict): An open_clip architecture name, the path of a JSON
            file of open_clip's own form, the same as a dict, or
            ``'mmdpt-tiny'``, the model of the built-in example.
        pretrained (str, optional): An open_clip tag, a local weights file
            (OpenAI ``.pt`` archive, state dict, safetensors), or None for
            random weights, which is logged.
        precision (str): In which type the frozen weights are held and the
            towers compute: 'fp64', 'fp32', 'bf16' or 'fp16'.
        tokenizer (str, optional): Local folder of the tokenizer, where the
            architecture reads one of Hugging Face's (SigLIP), which open_clip
            would download.

    Returns:
        CLIPModel: The frozen model, its tokenizer and its identity.

    Raises:
        ValueError: If the architecture, tag or precision is unknown, if
            weights and architecture do not fit, or if the activation is not
            the one that the weights were trained with.
        FileNotFoundError: If a file does not exist.
        ConnectionError: If a tag's weights, or the tokenizer, cannot be
            downloaded.
        ImportError: If the tokenizer needs a package that is not installed.
    """
    if precision not in PRECISIONS:
        raise ValueError(f'precision={precision!r} is unknown; use one of {", ".join(PRECISIONS)}.')
    name, config = read_config(arch)
    path = find_weights(name, config, pretrained)
    weights = None
    if path is not None:
        weights, from_openai = read_weights(path)
        if from_openai and not config.get('quick_gelu', False):
            raise ValueError(_wrong_activation(name, pretrained, True))
    _check_supported(name, config)
    words = build_tokenizer(name, config, tokenizer)
    model = build_model(name, config, weights, str(path))
    fingerprint = weights_fingerprint(model.state_dict())
    if weights is None:
        print_log(
            f'CLIP {name} has RANDOM weights (pretrained=None, '
            f'fingerprint {fingerprint}): results mean nothing.',
            logger='current',
            level=30,
        )
    dtype = PRECISIONS[precision]
    model.requires_grad_(False).eval()
    wide = torch.promote_types(dtype, torch.float32)
    logit_scale = model.logit_scale.detach().to(wide).exp().reshape(())
    identity = dict(
        arch=name,
        pretrained=None if pretrained is None else Path(pretrained).name,
        fingerprint=fingerprint,
    )
    return CLIPModel(
        model.to(dtype),
        words,
        logit_scale,
        identity,
        config['embed_dim'],
        trained_normalisation(name, pretrained and str(pretrained)),
    )


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
    # What lies beside the JSON file is named relative to it.
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


def _wrong_activation(name: str, pretrained: str, quick_gelu: bool) -> str:
    stem = name.replace('-quickgelu', '')
    trained, remedy = ('QuickGELU', f'{stem}-quickgelu') if quick_gelu else ('GELU', stem)
    return (
        f'pretrained={str(pretrained)!r} was trained with {trained}, but '
        f'{name} computes with the other activation, which silently '
        f'costs accuracy. Use arch={remedy!r} (in a config of your own: '
        f'quick_gelu={quick_gelu}).'
    )


def _check_supported(name: str, config: dict) -> None:
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


def build_model(name: str, config: dict, weights: dict | None, source: str) -> nn.Module:
    """Build open_clip's CLIP and fill in the weights (None: random)."""
    try:
        if weights is None:
            return _construct(config)
        with torch.device('meta'):  # no time spent on random weights
            model = _construct(config)
    except (TypeError, RuntimeError) as error:
        raise ValueError(
            f'The config of {name} is not one that open_clip takes: {error}.'
        ) from error
    if _constants(model):  # timm's, which no file holds
        model = _construct(config)
    weights = {k: v for k, v in weights.items() if k not in OPENAI_EXTRAS}
    if hasattr(model, 'text') and 'token_embedding.weight' in weights:
        from open_clip.model import convert_to_custom_text_state_dict

        weights = convert_to_custom_text_state_dict(weights)
    _check_fit(name, model.state_dict(), weights, source)
    model.load_state_dict(
        {k: v.float() if v.is_floating_point() else v for k, v in weights.items()}, assign=True
    )
    text = getattr(model, 'text', model)
    if text.attn_mask is not None:
        text.attn_mask = torch.full(text.attn_mask.shape, float('-inf')).triu(1)
    return model


def _construct(config: dict) -> nn.Module:
    """open_clip's CLIP, or its form with a text tower apart."""
    from open_clip.model import CLIP, CustomTextCLIP

    config = dict(config)
    if config.pop('custom_text', False):
        return CustomTextCLIP(**config)
    return CLIP(**config)


def _constants(model: nn.Module) -> list:
    """Buffers that are made by the constructor and not stored, beside the
    causal mask."""
    stored = model.state_dict()
    return [
        n
        for n, _ in model.named_buffers()
        if n not in stored and n not in ('attn_mask', 'text.attn_mask')
    ]


def _check_fit(name, expected, weights, source):
    """Raise if the file's names or shapes are not the architecture's."""
    missing = sorted(set(expected) - set(weights))
    unexpected = sorted(set(weights) - set(expected))
    wrong = [
        f'{k} is {tuple(weights[k].shape)} in the file, {tuple(expected[k].shape)} in {name}'
        for k in expected
        if k in weights and weights[k].shape != expected[k].shape
    ]
    if missing or unexpected or wrong:
        found = [f'{len(missing)} tensors missing ({missing[0]}, ...)'] if missing else []
        found += [f'{len(unexpected)} unexpected ({unexpected[0]}, ...)'] if unexpected else []
        found += wrong[:1]
        raise ValueError(
            f'{source} does not hold the weights of {name}: '
            f'{"; ".join(found)}. Set model.arch to the '
            'architecture of this file.'
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
