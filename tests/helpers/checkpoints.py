"""Untrained checkpoints of the built-in CLIP."""

import torch
from mmengine.config import Config
from mmpretrain.registry import MODELS

from mmdpt.engine.recipe import make_recipe

NAMES = ['eight', 'four', 'one']


TINY = dict(
    type='PromptedCLIP', arch='mmdpt-tiny', pretrained='mmdpt-tiny', templates='the digit {}.'
)


PIPELINE = [
    dict(type='LoadPILImage'),
    dict(type='ResizeEdge', scale=32, interpolation='bicubic', backend='pillow'),
    dict(type='CenterCrop', crop_size=32),
    dict(type='PackInputs'),
]


METHODS = dict(
    coop=dict(text_prompt=dict(type='CoOp', num_tokens=4)),
    csc=dict(text_prompt=dict(type='CoOp', num_tokens=4, class_specific=True)),
    cocoop=dict(text_prompt=dict(type='CoCoOp', num_tokens=4)),
    vpt=dict(visual_prompt=dict(type='VPT', num_tokens=2)),
    dpt=dict(
        text_prompt=dict(type='CoOp', num_tokens=4),
        head=dict(type='DPTHead', guided_epochs=1),
        visual_prompt=dict(type='CAVPT', num_tokens=2, top_k=3),
    ),
    adapter=dict(head=dict(type='CLIPAdapterHead')),
    tip=dict(head=dict(type='TipAdapterHead', num_keys=6)),
)


def saved(method, path='method.pth', classes=NAMES, **model):
    """Write an untrained checkpoint as training would."""
    torch.manual_seed(0)
    cfg = Config(
        dict(
            model=dict(TINY, classes=classes, **METHODS[method], **model),
            test_dataloader=dict(dataset=dict(pipeline=PIPELINE)),
        )
    )
    built = MODELS.build(cfg.model)
    about = dict(built.identity(), recipe=make_recipe(cfg))
    torch.save(dict(state_dict=built.state_dict(), meta=dict(mmdpt=about)), path)
    return built.eval()
