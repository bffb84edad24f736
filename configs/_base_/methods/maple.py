"""MaPLe: text prompts in several blocks, and visual ones projected from them.

    python tools/train.py configs/maple/maple_vitb16_eurosat_16shot.py

`MaPLe: Multi-modal Prompt Learning <https://arxiv.org/abs/2210.03117>`_

2 vectors that start as "a photo", 9 layers, batch 4, 5 epochs, rate 0.0035,
1 epoch of warm-up: the authors' code (configs/trainers/MaPLe/
vit_b16_c2_ep5_batch4_2ctx.yaml). As there, "of a" stays frozen behind the two
vectors. Between datasets they take 3 layers, 2 epochs and 0.0026.
"""

_base_ = ['../runtime.py', '../sgd.py']

model = dict(
    type='PromptedCLIP',
    pretrained='openai',
    text_prompt=dict(type='DeepCoOp', num_layers=9, init_words='a photo', frozen_words='of a'),
    visual_prompt=dict(type='MaPLe'),
    head=dict(type='SimilarityHead'),
)

optim_wrapper = dict(optimizer=dict(lr=0.0035))
