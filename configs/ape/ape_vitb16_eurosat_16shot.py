"""APE, ViT-B/16, EuroSAT, 16 shots.

    python tools/train.py configs/ape/ape_vitb16_eurosat_16shot.py

All values are those of the base config.
"""

_base_ = ['../_base_/methods/ape.py', '../_base_/datasets/eurosat.py']

model = dict(arch='ViT-B-16-quickgelu', classes=_base_.dataset.name, head=dict(num_keys=160))
train_dataloader = dict(dataset=dict(shots=16))
train_cfg = dict(_base_.pop('loop'))
test_cfg = dict(type='FrozenFeatureTestLoop', cache_dir=True)
