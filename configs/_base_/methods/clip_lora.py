"""CLIP-LoRA: low-rank updates of the attention of both towers.

    python tools/train.py configs/clip_lora/clip_lora_vitb16_eurosat_16shot.py

`Low-Rank Few-Shot Adaptation of Vision-Language Models
<https://arxiv.org/abs/2405.18541>`_

Rank 2, alpha 1, dropout 0.25, queries, keys and values of all blocks, AdamW,
rate 2e-4 with a cosine to 1e-6 that moves in every step, batch 32, 500 steps
times the shots: the authors' code (run_utils.py). Of C classes with n shots an
epoch has n C / 32 steps, so that is 16000 / C epochs.
"""

_base_ = ['../runtime.py']

model = dict(
    type='PromptedCLIP',
    pretrained='openai',
    tuning=dict(type='LoRA', rank=2, alpha=1.0, dropout=0.25),
    head=dict(type='SimilarityHead'),
)

optim_wrapper = dict(
    type='OptimWrapper',
    constructor='PromptOptimWrapperConstructor',
    optimizer=dict(type='AdamW', lr=2e-4, weight_decay=0.01),
)
param_scheduler = dict(
    type='CosineAnnealingLR', eta_min=1e-6, by_epoch=True, convert_to_iter_based=True
)
