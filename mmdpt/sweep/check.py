"""Refuses impossible runs before the first one starts."""
import json
import logging
from contextlib import contextmanager

from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpretrain.registry import MODELS

from ..datasets.runner import share_dataset
from ..models.clip import BUILTIN, find_weights, read_config
from .plan import refuse


def check_runs(runs, weights=True):
    """Builds each kind of model once, on a CLIP of its shape but few weights.

    Args:
        runs (list[Run]): They are grouped by model and dataset.
        weights (bool): Whether to look CLIP's weights up as well, and to fetch
            them once.

    Raises:
        ValueError: Names all runs that cannot be built, and why.
    """
    init_default_scope('mmpretrain')
    kinds, errors = {}, []
    for run in runs:
        key = [run.tool, run.content.get('model'), run.content.get('dataset')]
        kinds.setdefault(json.dumps(key, sort_keys=True), []).append(run)
    for group in kinds.values():
        try:
            with quiet():
                check_model(group[0], weights)
        except Exception as error:  # whatever its training would end with
            more = f' (and {len(group) - 1} more of its kind)' if len(group) > 1 else ''
            errors.append(f'{group[0].name}{more}: {error}')
    refuse(errors)


def check_model(run, weights):
    """Raises unless the model of a run can be built, and suits the tool."""
    cfg = share_dataset(Config(run.content))
    model = dict(cfg.model)
    if model['type'] == 'PromptedCLIP':
        name, shape = read_config(model['arch'])
        if weights:
            find_weights(name, shape, model['pretrained'])
        if name != BUILTIN:
            model.update(arch=small(shape), pretrained=None)
    built = MODELS.build(model)
    learns = any(p.requires_grad for p in built.parameters())
    if run.tool == 'test' and learns:
        raise ValueError('the model learns, so it has to be trained: leave test=True out')
    if run.tool == 'train' and not learns:
        raise ValueError('the model learns nothing: say test=True')


def small(config):
    """dict: An open_clip config with the same blocks, each of them narrow."""
    vision, text = dict(config['vision_cfg']), dict(config['text_cfg'])
    vision.update(dict(width=8) if isinstance(vision['layers'], (list, tuple)) else
                  dict(width=64, head_width=32))
    text.update(width=64, heads=2)
    return dict(config, embed_dim=32, vision_cfg=vision, text_cfg=text)


@contextmanager
def quiet():
    """Without the warnings of the stand-ins, such as of random weights."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
