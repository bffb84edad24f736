"""The settings that shape a training, as a list that a person can read."""

import fnmatch
import hashlib
import json
import math
import os.path as osp
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.dist import get_world_size
from mmengine.runner import Runner

from mmdpt.utils.files import sha256_of

from .image_digest import training_images
from .published import CONFIG, is_published
from .recipe import model_of

# How a training is tested; processes must be of one mind about it.
TESTS = (
    'val_*',
    'test_*',
    'tta_*',
    'train_cfg.val_*',
    'train_cfg.dynamic_intervals',
    'default_hooks.report',
)
# Where a training runs, what it tells, how it is tested: not what it learns.
# All that is not named here must be the same on resuming.
MAY_CHANGE = (
    'work_dir',
    'experiment_name',
    'load_from',  # the file to go on from
    'resume',
    'launcher',
    'log_level',
    'log_processor',
    'visualizer',
    'env_cfg',
    'custom_imports',
    'default_scope',
    'runner_type',
    'model_wrapper_cfg',
    *TESTS,
    '*_dataloader.num_workers',
    '*_dataloader.persistent_workers',
    '*_dataloader.pin_memory*',
    '*_dataloader.prefetch_factor',
    '*_dataloader.timeout',
    '*_dataloader.multiprocessing_context',
    'default_hooks.device_images',  # the same pixels
    'default_hooks.timer',
    'default_hooks.logger',
    'default_hooks.visualization',
    'default_hooks.checkpoint',
    'default_hooks.same_training',
    'dataset',  # handed on to the model and the loaders, which are compared
    '*.data_root',
    '*.backend_args',
    '*.cache_images',
    '*.cache_dir',
    'model.pretrained',  # CLIP's weights are compared, whatever file they are in
    'model.shard_classes',
    'randomness.seed',  # compared with the seed in force
)
NOT_GIVEN = 'not given'
Changes = dict[str, list]  # setting -> value before, value now


def settings_of(runner: Runner) -> dict[str, Any]:
    """Return all that shapes a training: dotted names and values of plain Python."""
    found = {**config_settings(runner.cfg), 'processes': get_world_size()}
    return {**found, **training_images(runner)}


def config_settings(cfg: Config, with_tests: bool = False) -> dict[str, Any]:
    """Return what of a config shapes a training.

    Args:
        cfg (Config): The runner's.
        with_tests (bool): Whether also what shapes validation and test.
    """
    content = Config.to_dict(cfg)
    model = content.get('model')
    if isinstance(model, dict) and {'arch', 'classes'} <= set(model):
        # what the files of templates and towers hold, not their names
        preprocessor = model.get('data_preprocessor')
        content['model'] = {**model, **model_of(cfg), 'data_preprocessor': preprocessor}
    free = _free(with_tests)
    found = {name: value for name, value in _flat(content) if not free.match(name)}
    teacher = found.get('model.teacher.checkpoint')
    if teacher and is_published(teacher):
        found['model.teacher.checkpoint'] = osp.join(teacher, CONFIG)  # with the weights' hash
    for name in ('model.teacher.checkpoint', 'model.descriptions'):
        if found.get(name) and osp.isfile(found[name]):
            found[name] = f'sha256 {sha256_of(found[name]).hexdigest()}'
    return found


@cache
def _free(with_tests: bool) -> re.Pattern:
    names = [n for n in MAY_CHANGE if not (with_tests and n in TESTS)]
    patterns = [f'{name}{end}' for name in names for end in ('', '.*')]
    return re.compile('|'.join(map(fnmatch.translate, patterns)))


def settings_hash(settings: dict[str, Any]) -> str:
    """Return one hash of all settings: 64 hexadecimal digits."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


def changes(before: dict[str, Any], now: dict[str, Any]) -> Changes:
    """Return the settings that differ, with both values.

    Files of the same content are the same images, whatever their times.
    """
    found = {
        name: [before.get(name, NOT_GIVEN), now.get(name, NOT_GIVEN)]
        for name in sorted({*before, *now})
        if (name in before) != (name in now) or before[name] != now[name]
    }
    contents = now.get('images.contents')
    if contents and before.get('images.contents') == contents:
        found.pop('images.times', None)
    return found


def spell(changed: Changes) -> str:
    """Return the changed settings as one line, with both values of each."""
    lines = [(name, *shown(*values)) for name, values in changed.items()]
    return '; '.join(f'{name} was {before}, now {now}' for name, before, now in lines)


def shown(*values: Any) -> list[str]:
    """Return both values, of long ones the part where they differ."""
    texts = [v if v == NOT_GIVEN else repr(v) for v in values]
    if max(map(len, texts)) <= 60:
        return texts
    begin = max(0, len(osp.commonprefix(texts)) - 10)
    return [
        ('...' if begin else '') + text[begin : begin + 50] + '...' * (len(text) > begin + 50)
        for text in texts
    ]


def _flat(value: Any, name: str = '') -> Iterator[tuple[str, Any]]:
    """Yield dotted names and values; lists of plain values are values."""
    if value in ({}, [], ()):  # as if it was not given
        return
    if isinstance(value, dict):
        parts = [(str(key), part) for key, part in value.items()]
    elif isinstance(value, (list, tuple)) and any(isinstance(v, (dict, list)) for v in value):
        parts = [(str(i), part) for i, part in enumerate(value)]
    else:
        text = _plain(value)
        if name.endswith('.type') and isinstance(text, str):
            text = text.removeprefix('mmpretrain.')
        yield name, text
        return
    for key, part in parts:
        yield from _flat(part, f'{name}.{key}' if name else key)


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else repr(value)
    if hasattr(value, '__qualname__'):
        return f'{value.__module__}.{value.__qualname__}'
    return re.sub(r' at 0x[0-9a-f]+', '', repr(value))
