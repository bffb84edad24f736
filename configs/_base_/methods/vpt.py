"""VPT-deep: learnt tokens in every block of the image tower.

    python tools/train.py configs/vpt/vpt_vitb16_eurosat_16shot.py

`Visual Prompt Tuning <https://arxiv.org/abs/2203.12119>`_, on CLIP with the
hand-written template as classifier, as in section 4 of
`DPT <https://arxiv.org/abs/2208.08340>`_.

10 tokens, rate 0.01, 10 epochs of warm-up: the visual prompts' settings of
DPT's 1-shot script, kept for all shots (our choice).
"""

_base_ = ['../runtime.py', '../sgd.py']

model = dict(
    type='PromptedCLIP',
    pretrained='openai',
    visual_prompt=dict(type='VPT', num_tokens=10, deep=True),
    head=dict(type='SimilarityHead'),
)

optim_wrapper = dict(optimizer=dict(lr=0.01))
param_scheduler = dict(warmup_epochs=10)
