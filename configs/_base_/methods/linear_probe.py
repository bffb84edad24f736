"""Linear probe: logistic regression on CLIP's frozen image features.

    python tools/train.py configs/linear_probe/linear_probe_vitb16_eurosat_16shot.py

`Learning Transferable Visual Models From Natural Language Supervision
<https://arxiv.org/abs/2103.00020>`_, section 3.2; the protocol is that of
CoOp's code (lpclip/linear_probe.py): scikit-learn's L-BFGS, at most 1,000
iterations, C from 1e-6 to 1e6 and then 8 rounds of bisection on the few-shot
validation images. Features are computed once, with the test transforms.
"""

_base_ = ['../runtime.py', '../sgd.py']

model = dict(
    type='PromptedCLIP',
    pretrained='openai',
    text_prompt=None,
    visual_prompt=None,
    head=dict(type='LinearProbeHead'),
)

# a leaf takes it as its train_cfg
loop = dict(type='FeatureTrainLoop', steps=False, views='plain', fit=dict(rounds=8))
