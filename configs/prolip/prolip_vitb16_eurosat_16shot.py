"""ProLIP, ViT-B/16, EuroSAT, 16 shots.

    python tools/train.py configs/prolip/prolip_vitb16_eurosat_16shot.py

All values are those of the base config.
"""

_base_ = ['../_base_/methods/prolip.py', '../_base_/datasets/eurosat.py']

model = dict(arch='ViT-B-16-quickgelu', classes=_base_.dataset.name)
train_dataloader = dict(dataset=dict(shots=16))
train_cfg = dict(_base_.pop('loop'))
test_cfg = dict(type='FrozenFeatureTestLoop', cache_dir=True)
