"""2SFS: LayerNorms of both towers, then a classifier that starts at the text features.

    python tools/train.py configs/twosfs/twosfs_vitb16_eurosat_16shot.py

`Rethinking Few-Shot Adaptation of Vision-Language Models in Two Stages
<https://arxiv.org/abs/2503.11609>`_

Stage 1 takes 0.6 of the steps; each stage has an AdamW of its own, rate 2e-4 with
a cosine to 1e-6 that moves in every step, weight decay 0.01; batch 32, the
last incomplete one of a pass too; 300 steps times the shots; one template for all
datasets: the authors' code.
"""

_base_ = ['../runtime.py']

model = dict(
    type='PromptedCLIP',
    pretrained='openai',
    templates='a photo of a {}.',
    tuning=dict(type='LayerNorms'),
    head=dict(type='TextStartHead'),
)

stages = [dict(learns=['tuning'], share=0.6), dict(learns=['head'])]

optim_wrapper = dict(
    type='OptimWrapper',
    constructor='PromptOptimWrapperConstructor',
    optimizer=dict(type='AdamW', lr=2e-4, weight_decay=0.01),
)
param_scheduler = dict(type='CosineAnnealingLR', eta_min=1e-6, by_epoch=False)
