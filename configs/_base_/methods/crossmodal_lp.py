"""Cross-modal linear probe: text features are training samples, too.

    python tools/train.py configs/crossmodal_lp/crossmodal_lp_vitb16_eurosat_16shot.py

`Multimodality Helps Unimodality: Cross-Modal Few-Shot Learning with Multimodal Models
<https://arxiv.org/abs/2301.06267>`_, as the authors of CLAP run it

Rate 0.1 without decay, batches of 256 (a leaf sets them), 300 epochs, 20
augmented views in one pool: the authors' configs/trainers/SGD_lr1e-1_B256_ep300.yaml
of CLAP. No validation images.
"""

_base_ = ['../runtime.py', '../sgd.py']

model = dict(type='PromptedCLIP', pretrained='openai', head=dict(type='CrossModalHead'))

# a leaf takes it as its train_cfg
loop = dict(type='FeatureTrainLoop', views=20, pool=True)

optim_wrapper = dict(optimizer=dict(lr=0.1, weight_decay=0.0))
