"""MMPretrain's ResNet-18, fine-tuned whole, EuroSAT, 16 shots.

    python tools/train.py configs/mmpretrain/resnet18_eurosat_16shot.py

Any classifier of MMPretrain trains on the few-shot data like this: its model,
``num_classes`` of the data, its normalisation. Weights:
``resnet18_8xb32_in1k`` of MMPretrain's model zoo. Rate and epochs: our choice.
"""

_base_ = ['../_base_/runtime.py', '../_base_/sgd.py', '../_base_/datasets/eurosat.py']

data_preprocessor = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375])

model = dict(
    type='ImageClassifier',
    backbone=dict(
        type='ResNet',
        depth=18,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='https://download.openmmlab.com/mmclassification/v0/'
            'resnet/resnet18_8xb32_in1k_20210831-fbbb1da6.pth',
            prefix='backbone',
        ),
    ),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(type='LinearClsHead', num_classes=10, in_channels=512),
)

optim_wrapper = dict(optimizer=dict(lr=0.01))
train_dataloader = dict(dataset=dict(shots=16))
train_cfg = dict(max_epochs=100)
