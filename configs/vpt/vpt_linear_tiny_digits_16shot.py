"""VPT-deep and a linear head on CLIP's image tower, on the built-in example.

    python tools/train.py configs/vpt/vpt_linear_tiny_digits_16shot.py

MMPretrain's ImageClassifier and LinearClsHead on our tower, without text. All
values are our own.
"""

_base_ = ['../_base_/runtime.py', '../_base_/sgd.py', '../_base_/datasets/digits.py']

model = dict(
    type='ImageClassifier',
    backbone=dict(
        type='PromptedCLIPBackbone',
        arch='mmdpt-tiny',
        pretrained='mmdpt-tiny',
        visual_prompt=dict(type='VPT', num_tokens=8, deep=True),
    ),
    head=dict(type='LinearClsHead', num_classes=10, in_channels=128),
)

optim_wrapper = dict(optimizer=dict(_delete_=True, type='AdamW', lr=5e-3))
param_scheduler = dict(warmup_epochs=1)
train_cfg = dict(max_epochs=50)
