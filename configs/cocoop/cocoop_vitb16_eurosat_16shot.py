"""CoCoOp, ViT-B/16, EuroSAT, 16 shots.

    python tools/train.py configs/cocoop/cocoop_vitb16_eurosat_16shot.py

10 epochs with batches of one image: the authors' setting.
"""

_base_ = ['../_base_/methods/cocoop.py', '../_base_/datasets/eurosat.py']

model = dict(arch='ViT-B-16-quickgelu', classes=_base_.dataset.name)
train_dataloader = dict(batch_size=1, dataset=dict(shots=16))
train_cfg = dict(max_epochs=10)
