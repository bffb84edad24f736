"""Refuse impossible runs before the first one starts."""

import json
import logging
import os.path as osp
from contextlib import contextmanager

from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpretrain.registry import MODELS

from ..datasets.benchmarks import get_benchmark
from ..datasets.shared import share_dataset
from ..engine.cache_size import fill_num_keys
from ..models.clip.config import BUILTIN, read_config
from ..models.clip.weights import find_weights
from .plan import refuse


def check_runs(runs, files=True):
    """Build each kind of model once, on a CLIP of its shape but few weights.

    Args:
        runs (list[Run]): They are grouped by model and dataset.
        files (bool): Whether to look for the data as well, and for CLIP's
            weights, which are fetched once.

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
                check_model(group[0], files)
        except Exception as error:  # whatever its training would end with
            more = f' (and {len(group) - 1} more of its kind)' if len(group) > 1 else ''
            errors.append(f'{group[0].name}{more}: {error}')
    refuse(errors)


def check_model(run, files):
    """The model of a run, of few weights; raise unless it can be built, and suits the tool."""
    cfg = share_dataset(Config(run.content))
    if files:
        check_folder(cfg.get('dataset') or {})
    fill_num_keys(cfg)
    model = dict(cfg.model)
    if model['type'] == 'PromptedCLIP':
        name, shape = read_config(model['arch'])
        if files:
            find_weights(name, shape, model['pretrained'])
        if name != BUILTIN:
            model.update(arch=small(shape), pretrained=None)
    built = MODELS.build(model)
    learns = any(p.requires_grad for p in built.parameters())
    if run.tool == 'test' and learns:
        raise ValueError('the model learns, so it has to be trained: leave test=True out')
    if run.tool == 'train' and not learns:
        raise ValueError('the model learns nothing: say test=True')
    return built


def check_folder(dataset):
    """Raise FileNotFoundError if the folder of a benchmark is missing."""
    if dataset.get('own') or 'data_root' not in dataset:
        return
    benchmark = get_benchmark(dataset['name'])
    folder = osp.join(dataset['data_root'], benchmark.folder)
    if not osp.isdir(folder):
        raise FileNotFoundError(
            f'no data of {benchmark.name} in {folder}: see docs/datasets.md, or set '
            'dataset.data_root by --cfg-options'
        )


def small(config):
    """dict: An open_clip config with the same blocks, each of them narrow."""
    vision, text = dict(config['vision_cfg']), dict(config['text_cfg'])
    vision.update(
        dict(width=8)
        if isinstance(vision['layers'], (list, tuple))
        else dict(width=64, head_width=32)
    )
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
