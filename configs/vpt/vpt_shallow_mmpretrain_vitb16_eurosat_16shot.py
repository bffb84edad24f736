r"""VPT-shallow on MMPretrain's supervised ViT-B/16, EuroSAT, 16 shots.

    python tools/train.py \
        configs/vpt/vpt_shallow_mmpretrain_vitb16_eurosat_16shot.py

Everything else, with its sources, as in
vpt_mmpretrain_vitb16_eurosat_16shot.py.
"""

_base_ = ['./vpt_mmpretrain_vitb16_eurosat_16shot.py']

model = dict(backbone=dict(prompt=dict(deep=False)))
