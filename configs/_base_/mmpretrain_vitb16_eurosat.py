"""MMPretrain's supervised ViT-B/16 and a linear head on EuroSAT; a leaf sets what learns.

Weights: ``vit-base-p16_in21k-pre_3rdparty_in1k-384px`` of MMPretrain's model
zoo (ImageNet-21k, then ImageNet-1k at 384 pixels; the positional embedding is
resized), with its normalisation. AdamW, 100 epochs: our choice.
"""

_base_ = ['./runtime.py', './sgd.py', './datasets/eurosat.py']

data_preprocessor = dict(mean=[127.5] * 3, std=[127.5] * 3)

model = dict(
    type='ImageClassifier',
    backbone=dict(
        arch='base',
        img_size=224,
        patch_size=16,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='https://download.openmmlab.com/mmclassification/v0/'
            'vit/finetune/vit-base-p16_in21k-pre-3rdparty_ft-64xb64_in1k-384_'
            '20210928-98e8652b.pth',
            prefix='backbone',
        ),
    ),
    head=dict(type='LinearClsHead', num_classes=10, in_channels=768),
)

optim_wrapper = dict(optimizer=dict(_delete_=True, type='AdamW', lr=1e-3, weight_decay=1e-2))
param_scheduler = dict(warmup_epochs=10)
