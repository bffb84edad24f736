"""ProGrad: CoOp that never steps against zero-shot CLIP's knowledge.

    python tools/train.py configs/prograd/prograd_vitb16_eurosat_16shot.py

`Prompt-aligned Gradient for Prompt Tuning
<https://arxiv.org/abs/2205.14865>`_

16 vectors, T and lambda 1, rate 0.002, 1 epoch of warm-up, batch 32: the
authors' code (configs/trainers/ProGrad/rn50*.yaml; 200 epochs for 16 and 8
shots, 100 for 4 and 2, 50 for 1). Their context ends in the words of the
dataset's template, after zeros; "a photo of a" is ours, good for all datasets.
"""

_base_ = ['../runtime.py', '../sgd.py']

model = dict(
    type='PromptedCLIP',
    pretrained='openai',
    text_prompt=dict(type='CoOp', num_tokens=16, init_words='a photo of a', zero_fill=True),
    head=dict(type='ProGradHead', temperature=1.0),
)

optim_wrapper = dict(type='ProGradOptimWrapper', strength=1.0)
