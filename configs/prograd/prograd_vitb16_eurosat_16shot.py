"""ProGrad, ViT-B/16, EuroSAT, 16 shots.

    python tools/train.py configs/prograd/prograd_vitb16_eurosat_16shot.py

200 epochs: the authors' setting for these shots, on their RN50.
"""

_base_ = ['../_base_/methods/prograd.py', '../_base_/datasets/eurosat.py']

model = dict(arch='ViT-B-16-quickgelu', classes=_base_.dataset.name)
train_dataloader = dict(dataset=dict(shots=16))
train_cfg = dict(max_epochs=200)
