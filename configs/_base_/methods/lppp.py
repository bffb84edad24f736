"""LP++: a linear probe and a learnt share of the text.

    python tools/train.py configs/lppp/lppp_vitb16_eurosat_16shot.py

`LP++: A Surprisingly Strong Linear Probe for Few-Shot CLIP
<https://arxiv.org/abs/2404.02285>`_

300 epochs over the whole training set at once, one augmented view, alpha every 10
epochs, momentum 0.9; the rates come from the data: the authors' code. It keeps
the epoch that is best on as many validation images as training images; here
there are at most 4 per class, as for all methods.
"""

_base_ = ['../runtime.py', '../sgd.py']

model = dict(type='PromptedCLIP', pretrained='openai', head=dict(type='LPPPHead'))

# a leaf takes it as its train_cfg
loop = dict(
    type='FeatureTrainLoop', steps=False, views=1, fit=dict(epochs=300, period=10, momentum=0.9)
)
