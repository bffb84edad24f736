"""KgCoOp: CoOp whose text features stay close to the hand-written prompts'.

    python tools/train.py configs/kgcoop/kgcoop_vitb16_eurosat_16shot.py

`Visual-Language Prompt Tuning with Knowledge-guided Context Optimization
<https://arxiv.org/abs/2303.13283>`_

Context "a photo of a", weight 8, batch 128, 100 epochs, rate 0.002, 1 epoch
of warm-up: the authors' code (configs/trainers/KgCoOp/vit_b16_ep100_ctxv1.yaml
and scripts). Their template of DTD is another: 'a photo of a {}, a type of
texture.'.
"""

_base_ = ['../runtime.py', '../sgd.py']

model = dict(
    type='PromptedCLIP',
    pretrained='openai',
    text_prompt=dict(type='CoOp', init_words='a photo of a'),
    head=dict(type='KgCoOpHead', weight=8.0),
)
