"""Linear probe: logistic regression on CLIP's frozen image features.

    python tools/train.py configs/linear_probe/linear_probe_vitb16_eurosat_16shot.py

`Learning Transferable Visual Models From Natural Language Supervision
<https://arxiv.org/abs/2103.00020>`_, section 3.2; the protocol is that of
CoOp's code (lpclip/linear_probe.py): scikit-learn's L-BFGS, at most 1,000
iterations, C from 1e-6 to 1e6 and then 8 rounds of bisection on the few-shot
validation images. Features are computed once, with the test transforms. A leaf
sets the loops: one epoch without a step, and a test from kept features.
"""

_base_ = ['../runtime.py', '../sgd.py']

model = dict(
    type='PromptedCLIP',
    pretrained='openai',
    text_prompt=None,
    visual_prompt=None,
    head=dict(type='LinearProbeHead'),
)

default_hooks = dict(linear_probe=dict(type='LinearProbeHook', rounds=8))
