"""Tip-Adapter: a cache of the training images, without training.

    python tools/train.py configs/tip_adapter/tip_adapter_vitb16_eurosat_16shot.py

`Tip-Adapter <https://arxiv.org/abs/2207.09519>`_

10 augmented views, beta 1 and alpha by dataset (EuroSAT 2; ImageNet, pets,
food and SUN397 1.17; Caltech101, cars and UCF101 3; DTD 2; aircraft 5; flowers
10), a search of 200 x 20 values on the few-shot validation images: the
authors' configs. A leaf sets ``model.head.num_keys``, the number of training
images, and alpha. The last values found are in the checkpoint.
"""

_base_ = ['../runtime.py', '../sgd.py']

model = dict(
    type='PromptedCLIP',
    pretrained='openai',
    head=dict(type='TipAdapterHead', num_keys=160, alpha=1.0, beta=1.0),
)

# a leaf takes it as its train_cfg
loop = dict(
    type='FeatureTrainLoop', steps=False, views=10, search=dict(scale=[7, 3], steps=[200, 20])
)
