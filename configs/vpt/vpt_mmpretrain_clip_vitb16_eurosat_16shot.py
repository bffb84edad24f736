r"""VPT-deep on MMPretrain's CLIP ViT-B/16, EuroSAT, 16 shots.

    python tools/train.py \
        configs/vpt/vpt_mmpretrain_clip_vitb16_eurosat_16shot.py

Weights: ``vit-base-p16_clip-openai-pre_3rdparty_in1k`` of MMPretrain's model
zoo: CLIP's tower, fine-tuned on ImageNet-1k. OpenAI's own weights, with the
same head: vpt_linear_vitb16_eurosat_16shot.py. The rest as in
vpt_mmpretrain_vitb16_eurosat_16shot.py.
"""

_base_ = ['./vpt_mmpretrain_vitb16_eurosat_16shot.py']

data_preprocessor = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375])

model = dict(
    backbone=dict(
        pre_norm=True,
        init_cfg=dict(
            checkpoint='https://download.openmmlab.com/mmclassification/v0/'
            'clip/clip-vit-base-p16_openai-pre_3rdparty_in1k_20221220-'
            'c7d9c899.pth'
        ),
    )
)
