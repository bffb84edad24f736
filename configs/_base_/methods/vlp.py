"""VLP: text prompts and deep visual prompts, guided by frozen CLIP at first.

    python tools/train.py configs/vlp/vlp_vitb16_eurosat_16shot.py

`Dual Modality Prompt Tuning for Vision-Language Pre-Trained Model
<https://arxiv.org/abs/2208.08340>`_: DPT without class-aware prompts.

Values as in dpt.py, where they have one.
"""

_base_ = ['../runtime.py', '../sgd.py']

model = dict(
    type='PromptedCLIP',
    pretrained='openai',
    text_prompt=dict(type='CoOp', num_tokens=16),
    visual_prompt=dict(type='VPT', num_tokens=10, deep=True),
    head=dict(type='GuidedHead', guided_epochs=30),
)

optim_wrapper = dict(
    optimizer=dict(lr=0.01),
    paramwise_cfg=dict(custom_keys={'text_prompt': dict(lr_mult=0.2, warmup_epochs=1)}),
)
param_scheduler = dict(warmup_epochs=10)
