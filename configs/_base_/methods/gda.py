"""GDA: a Gaussian per class in feature space, in closed form.

    python tools/train.py configs/gda/gda_vitb16_eurosat_16shot.py

`A Hard-to-Beat Baseline for Training-free CLIP-based Adaptation
<https://arxiv.org/abs/2402.04087>`_

10 augmented views, alpha out of 1e-4, 1e-3, ..., 100: the authors' code. It
chooses alpha on the whole val split (``val='whole'``); here, as for all methods,
on the few-shot validation images. ``model.head.num_support=IMAGES * VIEWS`` keeps
the features for other classes (base-to-new).
"""

_base_ = ['../runtime.py', '../sgd.py']

model = dict(type='PromptedCLIP', pretrained='openai', head=dict(type='GDAHead'))

# a leaf takes it as its train_cfg
loop = dict(
    type='FeatureTrainLoop',
    steps=False,
    views=10,
    search=dict(alphas=[1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0, 100.0]),
)
