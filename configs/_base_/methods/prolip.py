"""ProLIP: the image tower's last projection learns.

    python tools/train.py configs/prolip/prolip_vitb16_eurosat_16shot.py

`CLIP's Visual Embedding Projector is a Few-shot Cornucopia
<https://arxiv.org/abs/2410.05270>`_

300 epochs over the whole training set at once, each in its own of 300 augmented
views, Adam, lambda 1 / shots without validation images: the authors'
configs/experiments/few_shot_no_val_lr1e-4_lambda_1_N.yaml. With validation images
they try lr=[1e-2, ..., 1e-8] with penalty=[10, 1, 0.1, 0.01, 0.001, 1e-4, 0].
"""

_base_ = ['../runtime.py', '../sgd.py']

model = dict(type='PromptedCLIP', pretrained='openai', head=dict(type='ProLIPHead'))

# a leaf takes it as its train_cfg
loop = dict(
    type='FeatureTrainLoop',
    steps=False,
    views=300,
    fit=dict(epochs=300, lr=1e-4, penalty='1/shots'),
)
