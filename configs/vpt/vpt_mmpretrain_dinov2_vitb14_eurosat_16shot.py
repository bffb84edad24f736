r"""VPT-deep on MMPretrain's DINOv2 ViT-B/14, EuroSAT, 16 shots.

    python tools/train.py \
        configs/vpt/vpt_mmpretrain_dinov2_vitb14_eurosat_16shot.py

Weights: ``vit-base-p14_dinov2-pre_3rdparty`` of MMPretrain's model zoo (518
pixels; the positional embedding is resized). The rest as in
vpt_mmpretrain_vitb16_eurosat_16shot.py.
"""

_base_ = ['./vpt_mmpretrain_vitb16_eurosat_16shot.py']

data_preprocessor = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375])

model = dict(
    backbone=dict(
        patch_size=14,
        layer_scale_init_value=1e-5,
        init_cfg=dict(
            checkpoint='https://download.openmmlab.com/mmpretrain/v1.0/dinov2/'
            'vit-base-p14_dinov2-pre_3rdparty_20230426-ba246503.pth'
        ),
    )
)
