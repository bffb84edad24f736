"""MMRL: tokens of one space in the upper blocks of both towers.

    python tools/train.py configs/mmrl/mmrl_vitb16_eurosat_16shot.py

`MMRL: Multi-Modal Representation Learning for Vision-Language Models
<https://arxiv.org/abs/2503.08497>`_

5 tokens in layers 6 to 12 (from 1) of both towers, a common space of 512 (EuroSAT 2048)
dimensions, alpha 0.7, logit scale 100, AdamW, weight decay 5e-4, 1 epoch of
warm-up: the authors' code (configs/trainers/MMRL/*.yaml). Few-shot: rate 0.001, batch 32,
50 epochs (ImageNet 5); base to new: batch 4, 10 epochs.
Lambda depends on the dataset and is in its leaf.
"""

_base_ = ['../runtime.py', '../sgd.py']

model = dict(
    type='PromptedCLIP',
    pretrained='openai',
    logit_scale=100.0,
    text_prompt=dict(
        type='RepresentationText', num_tokens=5, space_dim=512, layers=list(range(6, 13))
    ),
    visual_prompt=dict(type='RepresentationImage'),
    head=dict(type='MMRLHead', alpha=0.7),
)

optim_wrapper = dict(optimizer=dict(_delete_=True, type='AdamW', lr=0.001, weight_decay=5e-4))
