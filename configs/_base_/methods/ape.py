"""APE: a cache of the training images in a choice of channels, without training.

    python tools/train.py configs/ape/ape_vitb16_eurosat_16shot.py

`Not All Features Matter: Enhancing Few-shot CLIP with Adaptive Prior Refinement
<https://arxiv.org/abs/2304.01195>`_

10 augmented views, alpha, beta 1 and gamma 0.1 before a search of 200 x 20 x 20
values: the authors' configs (dtd.yaml). They keep 400 to 800 of RN50's 1024
channels (EuroSAT 700) and search on the whole val split. Here 0.7 of the channels
are kept, and the search is on the few-shot validation images. A leaf sets
``model.head.num_keys``, the number of training images.
"""

_base_ = ['../runtime.py', '../sgd.py']

model = dict(
    type='PromptedCLIP',
    pretrained='openai',
    head=dict(type='APEHead', num_keys=160, channel_share=0.7),
)

# a leaf takes it as its train_cfg
loop = dict(
    type='FeatureTrainLoop',
    steps=False,
    views=10,
    search=dict(scale=[7, 7, 1], steps=[200, 20, 20]),
)
