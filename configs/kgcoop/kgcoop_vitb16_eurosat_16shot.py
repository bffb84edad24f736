"""KgCoOp, ViT-B/16, EuroSAT, 16 shots.

    python tools/train.py configs/kgcoop/kgcoop_vitb16_eurosat_16shot.py

100 epochs, batches of 128: the authors' setting.
"""

_base_ = ['../_base_/methods/kgcoop.py', '../_base_/datasets/eurosat.py']

model = dict(arch='ViT-B-16-quickgelu', classes=_base_.dataset.name)
train_dataloader = dict(batch_size=128, dataset=dict(shots=16))
train_cfg = dict(max_epochs=100)
