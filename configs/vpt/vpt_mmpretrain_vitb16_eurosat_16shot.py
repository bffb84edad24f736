"""VPT-deep on MMPretrain's supervised ViT-B/16, EuroSAT, 16 shots.

    python tools/train.py configs/vpt/vpt_mmpretrain_vitb16_eurosat_16shot.py

Prompts and a linear head learn. 10 tokens, AdamW, 100 epochs: our choice;
`Visual Prompt Tuning <https://arxiv.org/abs/2203.12119>`_ searches rate, decay
and tokens for each dataset.
"""

_base_ = ['../_base_/mmpretrain_vitb16_eurosat.py']

model = dict(
    backbone=dict(
        type='PromptedVisionTransformer', prompt=dict(type='VPT', num_tokens=10, deep=True)
    )
)
