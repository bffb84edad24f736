"""The models that are measured: methods as their base configs have them, random weights."""

import copy
import functools
import json
import tempfile
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpretrain.registry import MODELS

ROOT = Path(__file__).resolve().parents[2]
METHODS = sorted(path.stem for path in (ROOT / 'configs/_base_/methods').glob('*.py'))
TINY = str(ROOT / 'mmdpt/tiny_clip/config.json')


@functools.cache
def method_config(name: str) -> dict:
    """``model`` of a method's base config."""
    return Config.fromfile(ROOT / f'configs/_base_/methods/{name}.py').model


def learns(name: str) -> bool:
    """Whether a method has a training step."""
    model = method_config(name)
    parts = ('text_prompt', 'visual_prompt', 'tuning')
    return name != 'tip_adapter' and (
        any(model.get(part) for part in parts) or model['head']['type'] != 'SimilarityHead'
    )


def for_three_blocks(name: str) -> dict:
    """``model`` of a method, for towers of three blocks as the built-in CLIP has them."""
    model = copy.deepcopy(method_config(name))
    for prompt in ('text_prompt', 'visual_prompt'):
        if model.get(prompt) and model[prompt].get('num_layers', 1) > 3:
            model[prompt].num_layers = 3
        if model.get(prompt) and 'layers' in model[prompt]:
            model[prompt].layers = [2] if name == 'tcp' else [2, 3]
    if name == 'skiptuning':
        model.tuning.first = 1
    if name == 'promptsrc':
        model.templates = model.templates[:1]
    return model


def class_names(count: int) -> list[str]:
    """ImageNet's class names; numbered ones after the first thousand."""
    from open_clip.zero_shot_metadata import IMAGENET_CLASSNAMES

    names = list(dict.fromkeys(IMAGENET_CLASSNAMES))
    return [names[i % len(names)] + (f' {i}' if i >= len(names) else '') for i in range(count)]


def build(count: int, arch: str, device: str, dtype: str, method: dict):
    """A method as its base config has it, with random weights."""
    init_default_scope('mmpretrain')
    torch.manual_seed(0)
    method = copy.deepcopy(dict(method))
    if (method.get('visual_prompt') or {}).get('top_k'):
        method['visual_prompt']['top_k'] = min(10, count)
    if (method.get('tuning') or {}).get(
        'dropout'
    ):  # the plain path merges, and merged has no dropout
        method['tuning']['dropout'] = 0.0
    if method['head']['type'] == 'CoPromptHead':
        method['head']['sentences'] = written(class_names(count))
    model = MODELS.build(
        dict(method, arch=arch, pretrained=None, precision=dtype, classes=class_names(count))
    )
    if hasattr(model.head, 'fill'):
        keys = model.head.keys.shape[0]
        model.head.fill(torch.randn(1, keys, model.backbone.embed_dim), torch.arange(keys) % count)
    return model.to(device)


def written(names: list[str]) -> str:
    """A file with ten sentences per class."""
    with tempfile.NamedTemporaryFile('w', suffix='.json', delete=False) as file:
        json.dump(
            {name: [f'sentence {k} of the {name}.' for k in range(10)] for name in names}, file
        )
    return file.name
