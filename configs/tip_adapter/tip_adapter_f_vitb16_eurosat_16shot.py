"""Tip-Adapter-F, ViT-B/16, EuroSAT, 16 shots.

    python tools/train.py configs/tip_adapter/tip_adapter_f_vitb16_eurosat_16shot.py

alpha 2, 100 epochs, batches of 256: the authors' setting for EuroSAT.
"""

_base_ = ['../_base_/methods/tip_adapter_f.py', '../_base_/datasets/eurosat.py']

model = dict(
    arch='ViT-B-16-quickgelu', classes=_base_.dataset.name, head=dict(num_keys=160, alpha=2.0)
)
train_dataloader = dict(batch_size=256, dataset=dict(shots=16))
train_cfg = dict(_base_.pop('loop'), max_epochs=100)
