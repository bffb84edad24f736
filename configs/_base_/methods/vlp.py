"""VLP: text prompts and deep visual prompts, guided by frozen CLIP at first.

    python tools/train.py configs/vlp/vlp_vitb16_eurosat_16shot.py

`Dual Modality Prompt Tuning for Vision-Language Pre-Trained Model
<https://arxiv.org/abs/2208.08340>`_: DPT without class-aware prompts.

Values as in dpt.py, where they have one.
"""

_base_ = ['./dpt.py']

model = dict(
    visual_prompt=dict(_delete_=True, type='VPT', num_tokens=10, deep=True),
    head=dict(_delete_=True, type='GuidedHead', guided_epochs=30),
)
