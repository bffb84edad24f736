"""Load a CLIP model through open_clip: architecture, weights, tokenizer.

Everything that can be wrong with the architecture or the weights is found and
reported before the model (or anything else) is built.
"""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn as nn
from mmengine.logging import print_log

from .config import check_supported, read_config
from .normalisation import Normalisation, trained_normalisation
from .tokenizer import build_tokenizer
from .weight_file import OPENAI_EXTRAS
from .weights import find_weights, fitting_weights, weights_fingerprint

PRECISIONS = dict(fp64=torch.float64, fp32=torch.float32, bf16=torch.bfloat16, fp16=torch.float16)


_kept: dict[str, 'CLIPModel'] | None = None  # see keep_clip


@contextmanager
def keep_clip() -> Iterator[None]:
    """Load a CLIP once inside: models that are built one after the other share frozen weights."""
    global _kept
    before, _kept = _kept, {} if _kept is None else _kept
    try:
        yield
    finally:
        _kept = before


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
            (OpenAI ``.pt`` archive, state dict, safetensors), a folder in the
            layout of transformers, a repository in the hub's cache, or None
            for random weights, which is logged.
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
    if _kept is None:
        return _load(arch, pretrained, precision, tokenizer)
    key = repr((arch, pretrained, precision, tokenizer))
    if key not in _kept:
        _kept[key] = _load(arch, pretrained, precision, tokenizer)
    shared = {id(p): p for p in _kept[key].model.parameters()}
    return _kept[key]._replace(model=copy.deepcopy(_kept[key].model, shared))


def _load(
    arch: str | dict, pretrained: str | None, precision: str, tokenizer: str | None
) -> CLIPModel:
    name, config = read_config(arch)
    path = find_weights(name, config, pretrained)
    weights = None if path is None else fitting_weights(path, name, config, pretrained)
    check_supported(name, config)
    words = build_tokenizer(name, config, tokenizer)
    model = build_model(name, config, weights, str(path))
    fingerprint = weights_fingerprint(model.state_dict())
    if weights is None:
        _warn_of_random_weights(name, fingerprint)
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


def _warn_of_random_weights(name: str, fingerprint: str) -> None:
    print_log(
        f'CLIP {name} has RANDOM weights (pretrained=None, '
        f'fingerprint {fingerprint}): results mean nothing.',
        logger='current',
        level=30,
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
    """Buffers that are made by the constructor and not stored, besides the
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
    wrong += [
        f'{k} holds numbers of type {weights[k].dtype} in the file'
        for k in expected
        if k in weights and expected[k].is_floating_point() and not weights[k].is_floating_point()
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
