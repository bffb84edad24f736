"""CLAP: a linear probe that is held near the text.

    python tools/train.py configs/clap/clap_vitb16_eurosat_16shot.py

`A Closer Look at the Few-Shot Adaptation of Large Vision-Language Models
<https://arxiv.org/abs/2312.12730>`_

Rate 0.1 without decay, batches of 256 (a leaf sets them), 300 epochs, 20
augmented views in one pool: the authors' configs/trainers/SGD_lr1e-1_B256_ep300.yaml
of CLAP. No validation images.
"""

_base_ = ['../runtime.py', '../sgd.py']

model = dict(type='PromptedCLIP', pretrained='openai', head=dict(type='CLAPHead', multipliers='l2'))

# a leaf takes it as its train_cfg
loop = dict(type='FeatureTrainLoop', views=20, pool=True)

optim_wrapper = dict(optimizer=dict(lr=0.1, weight_decay=0.0))
