"""CoOp, ResNet-50, EuroSAT, 16 shots.

    python tools/train.py configs/coop/coop_rn50_eurosat_16shot.py

200 epochs: the authors' setting for these shots.
"""

_base_ = ['../_base_/methods/coop.py', '../_base_/datasets/eurosat.py']

model = dict(arch='RN50-quickgelu', classes=_base_.dataset.name)
train_dataloader = dict(dataset=dict(shots=16))
train_cfg = dict(max_epochs=200)
