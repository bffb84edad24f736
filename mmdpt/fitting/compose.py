"""The config of a method on own photos: a few lines on the project's ``_base_`` files."""

import os.path as osp
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from mmdpt.models.clip.config import BUILTIN, read_config
from mmdpt.paths import root

from .methods import Method

CUSTOM, TINY = 'datasets/custom.py', 'tiny_clip_custom.py'
CROPPED = """train_pipeline = [dict(step) for step in _base_.train_pipeline]
train_pipeline[1].update(scale=image_size)"""


@dataclass(frozen=True)
class Setting:
    """What all methods have in common.

    Attributes:
        arch: Architecture of CLIP.
        pretrained: Its weights, a tag or a file.
        templates: Prompts with one ``{}``.
        folder: Where the photos' paths start.
        seed: Of the trainings.
        workers: Processes that load photos.
    """

    arch: str
    pretrained: str
    templates: tuple[str, ...]
    folder: str
    seed: int
    workers: int = 0


def image_size(arch: str) -> int:
    """Pixels of the images that an architecture takes."""
    size = read_config(arch)[1]['vision_cfg'].get('image_size', 224)
    return size[0] if isinstance(size, (list, tuple)) else size


def compose(
    method: Method, setting: Setting, split: str, chosen: dict[str, Any], tested: bool = True
) -> str:
    """The text of a config file.

    Args:
        method (Method): What is trained.
        setting (Setting): On what.
        split (str): Split file of the photos.
        chosen (dict): One of the method's settings.
        tested (bool): Whether the split has a test list; without one the training photos stand
            for it, and the figures of the training say nothing.
    """
    tiny = setting.arch == BUILTIN
    method = replace(method, **method.tiny) if tiny else method
    places = (f'methods/{method.name}.py', TINY if tiny else CUSTOM)
    bases = [root() / 'configs' / '_base_' / place for place in places]
    head = f'{method.title} on your own photos, as mmdpt fit has composed it.'
    listed = '' if tested else "split='train', "  # no photo is held out
    model = f', {method.model.format(**chosen)}' if method.model else ''
    return f'''"""{head}"""

_base_ = {[str(base) for base in bases]}

dataset = dict(
    name='Photos',
    data_root={osp.abspath(split)!r},
    image_dir={setting.folder!r},
    templates={list(setting.templates)!r},
)
{_pipelines(setting.arch)}
model = dict(
    arch={setting.arch!r}, pretrained={setting.pretrained!r}, classes=_base_.dataset.name{model}
)
loader = dict(num_workers={setting.workers}, persistent_workers={setting.workers > 0})
train_dataloader = dict(
    batch_size={method.batch},
    dataset=dict(seed={setting.seed}, pipeline=train_pipeline),
    **loader,
)
val_dataloader = dict(dataset=dict({listed}pipeline=test_pipeline), **loader)
test_dataloader = val_dataloader
{_training(method, chosen)}
randomness = dict(seed={setting.seed})
'''


def _pipelines(arch: str) -> str:
    if arch == BUILTIN:  # as its base has them; the model is said below
        return """_base_.pop('tiny')
train_pipeline, test_pipeline = _base_.train_pipeline, _base_.test_pipeline"""
    size = image_size(arch)
    return f"""image_size = {size}
load = dict(type='LoadPILImage', upright=True)
resize = dict(type='ResizeEdge', scale={size}, interpolation='bicubic', backend='pillow')
crop = dict(type='CenterCrop', crop_size={size})
test_pipeline = [load, resize, crop, dict(type='PackInputs')]
{CROPPED}"""


def _training(method: Method, chosen: dict[str, Any]) -> str:
    """The lines about the training and the test."""
    if not method.learns:
        return "test_cfg = dict(type='FrozenFeatureTestLoop')"
    epochs = '' if method.epochs is None else f'max_epochs={method.epochs}'
    loop = f'train_cfg = dict({method.loop.format(**chosen)}{epochs})'
    saved = f'default_hooks = dict(checkpoint=dict(interval={method.epochs or 1}))'
    test = '' if method.adapts_images else "test_cfg = dict(type='FrozenFeatureTestLoop')"
    return '\n'.join(filter(None, [loop, saved, test, method.lines]))


def texts(given: Sequence[str] | None) -> tuple[str, ...]:
    """The templates, CLIP's usual one by default."""
    from mmdpt.datasets.descriptions import PHOTO, check_template

    found = tuple(given or (PHOTO,))
    for template in found:
        check_template(template)
    return found
