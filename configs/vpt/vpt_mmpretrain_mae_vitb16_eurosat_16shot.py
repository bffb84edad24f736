r"""VPT-deep on MMPretrain's MAE ViT-B/16, EuroSAT, 16 shots.

    python tools/train.py \
        configs/vpt/vpt_mmpretrain_mae_vitb16_eurosat_16shot.py

Weights: ``mae_vit-base-p16_8xb512-amp-coslr-1600e_in1k`` of MMPretrain's model
zoo. Class token and a batch norm before the head as in its linear benchmark.
The rest as in vpt_mmpretrain_vitb16_eurosat_16shot.py.
"""

_base_ = ['./vpt_mmpretrain_vitb16_eurosat_16shot.py']

data_preprocessor = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375])

model = dict(
    backbone=dict(
        init_cfg=dict(
            checkpoint='https://download.openmmlab.com/mmselfsup/1.x/mae/'
            'mae_vit-base-p16_8xb512-fp16-coslr-1600e_in1k/mae_vit-base-p16_'
            '8xb512-fp16-coslr-1600e_in1k_20220825-f7569ca2.pth'
        )
    ),
    neck=dict(type='ClsBatchNormNeck', input_features=768),
)
