"""Tip-Adapter, ViT-B/16, EuroSAT, 16 shots.

    python tools/train.py configs/tip_adapter/tip_adapter_vitb16_eurosat_16shot.py

alpha 2: the authors' setting for EuroSAT.
"""

_base_ = ['../_base_/methods/tip_adapter.py', '../_base_/datasets/eurosat.py']

model = dict(
    arch='ViT-B-16-quickgelu', classes=_base_.dataset.name, head=dict(num_keys=160, alpha=2.0)
)
train_dataloader = dict(dataset=dict(shots=16))
train_cfg = _base_.pop('loop')
