"""A linear head on MMPretrain's frozen ViT-B/16, EuroSAT, 16 shots.

    python tools/train.py configs/mmpretrain/vitb16_linear_eurosat_16shot.py

To compare VPT on the same weights with, at the same rate and epochs:
configs/vpt/vpt_mmpretrain_vitb16_eurosat_16shot.py.
"""

_base_ = ['../_base_/mmpretrain_vitb16_eurosat.py']

model = dict(backbone=dict(type='VisionTransformer', frozen_stages=12))
