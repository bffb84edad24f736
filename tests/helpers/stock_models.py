"""Small classifiers of MMPretrain itself."""

import os.path as osp

import torch
from mmengine.config import Config
from mmpretrain.models import VisionTransformer

from helpers.tools import ROOT

ARCH = dict(embed_dims=32, num_layers=3, num_heads=4, feedforward_channels=48)


SMALL = dict(arch=ARCH, img_size=16, patch_size=8)


DEEP, SHALLOW = (dict(type='VPT', num_tokens=3, deep=deep) for deep in (True, False))


def plain_vit(seed=0, **options):
    """A small VisionTransformer; every weight is random, norms as well."""
    torch.manual_seed(seed)
    model = VisionTransformer(**{**SMALL, **options})
    for p in model.parameters():
        torch.nn.init.normal_(p.data, std=0.1)
        if p.dim() == 1:
            p.data.add_(0.5)
    model.eval()
    return model


BASES = [
    osp.join(ROOT, 'configs', '_base_', name)
    for name in ('runtime.py', 'sgd.py', 'datasets/digits.py')
]


HEAD = dict(type='LinearClsHead', num_classes=10, in_channels=32)


RESNET = dict(
    type='ImageClassifier',
    backbone=dict(type='ResNet_CIFAR', depth=18, stem_channels=4, base_channels=4),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(HEAD),
)


VIT = dict(
    type='ImageClassifier',
    backbone=dict(
        type='VisionTransformer',
        img_size=32,
        patch_size=8,
        arch=dict(embed_dims=32, num_layers=3, num_heads=4, feedforward_channels=48),
    ),
    head=dict(HEAD),
)


def write(model, folder):
    """A config file: two images per class, two epochs."""
    few = dict(dataset=dict(indices=100))  # test images
    Config(
        dict(
            _base_=BASES,
            val_dataloader=few,
            test_dataloader=few,
            model=model,
            optim_wrapper=dict(optimizer=dict(lr=0.1)),
            train_dataloader=dict(dataset=dict(shots=2)),
            train_cfg=dict(max_epochs=2),
        )
    ).dump(folder / 'few.py')
    return str(folder / 'few.py')
