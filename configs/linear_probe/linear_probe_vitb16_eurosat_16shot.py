"""Linear probe, ViT-B/16, EuroSAT, 16 shots.

    python tools/train.py configs/linear_probe/linear_probe_vitb16_eurosat_16shot.py

All values are those of the public protocol.
"""

_base_ = ['../_base_/methods/linear_probe.py', '../_base_/datasets/eurosat.py']

model = dict(arch='ViT-B-16-quickgelu', classes=_base_.dataset.name)
train_dataloader = dict(dataset=dict(shots=16))
train_cfg = _base_.pop('loop')
test_cfg = dict(type='FrozenFeatureTestLoop', cache_dir=True)
