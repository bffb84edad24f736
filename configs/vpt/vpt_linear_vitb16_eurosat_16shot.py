"""VPT-deep and a linear head on CLIP's image tower, EuroSAT, 16 shots.

    python tools/train.py configs/vpt/vpt_linear_vitb16_eurosat_16shot.py

No text tower: the head starts from random values, so there is no zero-shot
prediction. Rates and epochs as in vpt_mmpretrain_vitb16_eurosat_16shot.py: our
choice.
"""

_base_ = ['../_base_/runtime.py', '../_base_/sgd.py', '../_base_/datasets/eurosat.py']

model = dict(
    type='ImageClassifier',
    backbone=dict(
        type='PromptedCLIPBackbone',
        arch='ViT-B-16-quickgelu',
        pretrained='openai',
        visual_prompt=dict(type='VPT', num_tokens=10, deep=True),
    ),
    head=dict(type='LinearClsHead', num_classes=10, in_channels=512),
)

optim_wrapper = dict(optimizer=dict(_delete_=True, type='AdamW', lr=1e-3, weight_decay=1e-2))
param_scheduler = dict(warmup_epochs=10)
train_dataloader = dict(dataset=dict(shots=16))
train_cfg = dict(max_epochs=100)
