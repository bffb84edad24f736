"""Every config file, and every combination, builds on small stand-ins."""

import ast
import importlib.util
import os
import re
from functools import lru_cache
from pathlib import Path

import mmpretrain
import pytest
import torch
from helpers.trees import DISK, VARIANTS, write_photos, write_tree
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpretrain.registry import DATASETS, MODELS

from mmdpt.datasets import get_benchmark, share_dataset

ROOT = Path(__file__).resolve().parents[1]
CONFIGS = ROOT / 'configs'
METHODS = sorted(p.stem for p in (CONFIGS / '_base_/methods').glob('*.py'))
GRID_METHODS = ('coop', 'dpt')  # with all datasets and shots; others with one
MODEL_ZOO = ''.join(
    p.read_text()
    for p in (Path(mmpretrain.__file__).parent / '.mim/configs').glob('*/metafile.yml')
)
LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')


def generator():
    path = ROOT / 'tools/make_configs.py'
    spec = importlib.util.spec_from_file_location('make_configs', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


GRID = generator()
LEAVES = sorted(GRID.file_name(*combination) for combination in GRID.grid())


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp('data')
    for name in DISK:
        write_tree(root, name)
    write_photos(root / 'custom')
    return root


@lru_cache(maxsize=1)
def build_model(config):
    """Neighbours in the grid have one model: only shots and data differ."""
    return MODELS.build(ast.literal_eval(config))


def build(cfg, data):
    """Model and datasets of a config, on a small CLIP and small trees."""
    init_default_scope('mmpretrain')
    clip = cfg.model if 'arch' in cfg.model else cfg.model.backbone
    if cfg.model.type == 'PromptedCLIP' or clip.type == 'PromptedCLIPBackbone':
        clip.update(arch='mmdpt-tiny', pretrained=None)
    cfg.dataset.data_root = str(data / 'custom' if cfg.dataset.get('own') else data)
    visual = cfg.model.get('visual_prompt')
    if visual and visual.get('top_k'):
        visual.top_k = 3
    for prompt in (visual, cfg.model.get('text_prompt')):
        if prompt and prompt.get('num_layers', 1) > 3:
            prompt.num_layers = 3  # the blocks of the small CLIP
        if prompt and 'layers' in prompt:
            prompt.layers = [layer for layer in prompt.layers if layer < 3] or [2]
    if (cfg.model.get('tuning') or {}).get('type') == 'UpperBlocks':
        cfg.model.tuning.first = 2
    share_dataset(cfg)
    model = build_model(repr(cfg.model.to_dict()))
    if hasattr(model, 'classes'):
        classes = model.classes
    else:  # MMPretrain's own classifiers know a number only
        classes = list(get_benchmark(cfg.dataset.name).classes)
        assert model.head.num_classes == len(classes)
    evaluation = cfg.dataset.name in VARIANTS
    for name in LOADERS[1:] if evaluation else LOADERS:
        # packing the list for worker processes takes a third of a second
        spec = dict(cfg[name].dataset, serialize_data=False)
        if spec.get('shots'):
            spec['allow_fewer'] = True
        dataset = DATASETS.build(spec)
        assert list(dataset.metainfo['classes']) == classes
        assert len(dataset) > 0
    return model, dataset


def test_files_are_what_the_generator_writes():
    assert len(LEAVES) == 58
    for combination in GRID.grid():
        path = CONFIGS / GRID.file_name(*combination)
        assert path.read_text() == GRID.leaf(*combination), path
    dpt = [p for p in LEAVES if re.match('dpt/dpt_vitb16_', p)]
    assert len(dpt) == 55
    assert {p.split('_')[2] for p in dpt} == {get_benchmark(n).config_name for n in GRID.DATASETS}


def test_file_names_are_unique():
    names = [p.stem for p in CONFIGS.glob('*/*.py')]
    assert len(names) == len(set(names)) >= 58


@pytest.mark.parametrize('path', LEAVES)
def test_leaf(path, data):
    cfg = Config.fromfile(CONFIGS / path)
    method, arch, dataset, shots = path.split('/')[1][:-3].split('_')
    assert cfg.dataset.name == get_benchmark(dataset).name
    assert cfg.train_dataloader.dataset.shots == int(shots[:-4])
    assert cfg.model.arch == GRID.ARCHS[arch][1]
    assert cfg.train_cfg.max_epochs == GRID.epochs(method, dataset, int(shots[:-4]))[0]
    if method == 'dpt':
        assert cfg.train_cfg.max_epochs == (60 if shots == '1shot' else 100)
        assert cfg.param_scheduler.warmup_epochs == (1 if dataset == 'imagenet' else 10)
    model, _ = build(cfg, data)
    assert model.learnt_names


def compose(method, dataset, shots, folder):
    """A config that is not a file: a method, a dataset, shots."""
    file = folder / f'{method}_{dataset}_{shots}.py'
    file.write_text(f"""
_base_ = ['{os.path.relpath(CONFIGS, folder)}/_base_/methods/{method}.py',
          '{os.path.relpath(CONFIGS, folder)}/_base_/datasets/{dataset}.py']
model = dict(arch='ViT-B-16-quickgelu', classes=_base_.dataset.name)
train_dataloader = dict(dataset=dict(shots={shots}))
""")
    return Config.fromfile(file)


@pytest.mark.parametrize('shots', [1, 2, 4, 8, 16])
@pytest.mark.parametrize('dataset', GRID.DATASETS)
@pytest.mark.parametrize('method', GRID_METHODS)
def test_composed(method, dataset, shots, data, tmp_path):
    cfg = compose(method, dataset, shots, tmp_path)
    build(cfg, data)
    assert cfg.train_dataloader.dataset.shots == shots


@pytest.mark.parametrize('dataset', [get_benchmark(name).config_name for name in VARIANTS])
@pytest.mark.parametrize('method', GRID_METHODS)
def test_composed_variant(method, dataset, data, tmp_path):
    _, test = build(compose(method, dataset, None, tmp_path), data)
    assert test.split == 'test'


@pytest.mark.parametrize('method', sorted(set(METHODS) - {*GRID_METHODS}))
def test_composed_once(method, data, tmp_path):
    cfg = compose(method, 'eurosat', 4, tmp_path)
    model, _ = build(cfg, data)
    assert bool(model.learnt_names) == (not method.startswith('zeroshot'))


@pytest.mark.parametrize(
    'path', sorted(str(p.relative_to(CONFIGS)) for p in CONFIGS.glob('*/*_tiny_digits*.py'))
)
def test_built_in_example(path, data):
    cfg = Config.fromfile(CONFIGS / path)
    clip = cfg.model if 'arch' in cfg.model else cfg.model.backbone
    assert cfg.dataset.name == 'Digits' and clip.arch == 'mmdpt-tiny' and 'tiny' not in cfg
    build(cfg, data)


@pytest.mark.parametrize(
    'path',
    sorted(
        str(p.relative_to(CONFIGS))
        for p in (
            *CONFIGS.glob('mmpretrain/*.py'),
            *CONFIGS.glob('vpt/*mmpretrain*.py'),
            CONFIGS / 'vpt/vpt_linear_vitb16_eurosat_16shot.py',
        )
    ),
)
def test_mmpretrain_classifier(path, data):
    """The ViTs with two thin layers; weights are named, not downloaded."""
    cfg = Config.fromfile(CONFIGS / path)
    backbone = cfg.model.backbone
    if backbone.type == 'PromptedCLIPBackbone':
        assert cfg.model.head.in_channels == 512  # of ViT-B/16
        cfg.model.head.in_channels = 128  # of the built-in CLIP
    else:
        assert backbone.init_cfg.checkpoint in MODEL_ZOO
        assert backbone.init_cfg.prefix == 'backbone'
    if 'VisionTransformer' in backbone.type:
        assert backbone.pop('arch') == 'base'
        backbone.arch = dict(embed_dims=768, num_layers=2, num_heads=12, feedforward_channels=8)
        backbone.pop('frozen_stages', None)
    model, _ = build(cfg, data)
    model.eval()
    size = getattr(model.backbone, 'tower', None)
    side = size.image_size[0] if size else cfg.image_size
    scores = model(torch.zeros(1, 3, side, side))
    assert scores.shape == (1, 10)


@pytest.mark.parametrize('arch', GRID.ARCHS)
def test_towers_exist(arch):
    import open_clip

    assert GRID.ARCHS[arch][1] in open_clip.list_models()
