"""MaPLe, ViT-B/16, EuroSAT, 16 shots.

    python tools/train.py configs/maple/maple_vitb16_eurosat_16shot.py

5 epochs with batches of 4: the authors' setting.
"""

_base_ = ['../_base_/methods/maple.py', '../_base_/datasets/eurosat.py']

model = dict(arch='ViT-B-16-quickgelu', classes=_base_.dataset.name)
train_dataloader = dict(batch_size=4, dataset=dict(shots=16))
train_cfg = dict(max_epochs=5)
