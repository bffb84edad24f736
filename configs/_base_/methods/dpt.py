"""DPT: text prompts, visual prompts and class-aware visual prompts.

`Dual Modality Prompt Tuning for Vision-Language Pre-Trained Model
<https://arxiv.org/abs/2208.08340>`_

Context 16, 10 visual prompts, class-aware prompts in the last layer for the
top 10 classes, 30 guided epochs, alpha 0.3, and the rates: the authors' 1-shot
script. The learning rate of the text context is 0.002 with 1 epoch of warm-up
in their code, whatever the other settings.
"""

_base_ = ['../runtime.py', '../sgd.py']

model = dict(
    type='PromptedCLIP',
    pretrained='openai',
    text_prompt=dict(type='CoOp', num_tokens=16),
    visual_prompt=dict(type='CAVPT', num_tokens=10, num_layers=1, top_k=10),
    head=dict(type='DPTHead', guided_epochs=30, aux_weight=0.3),
)

optim_wrapper = dict(
    optimizer=dict(lr=0.01),
    paramwise_cfg=dict(custom_keys={'text_prompt': dict(lr_mult=0.2, warmup_epochs=1)}),
)
param_scheduler = dict(warmup_epochs=10)
