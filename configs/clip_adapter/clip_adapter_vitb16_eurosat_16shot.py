"""CLIP-Adapter, ViT-B/16, EuroSAT, 16 shots.

    python tools/train.py configs/clip_adapter/clip_adapter_vitb16_eurosat_16shot.py

200 epochs: CoOp's setting for these shots.
"""

_base_ = ['../_base_/methods/clip_adapter.py', '../_base_/datasets/eurosat.py']

model = dict(arch='ViT-B-16-quickgelu', classes=_base_.dataset.name)
train_dataloader = dict(dataset=dict(shots=16))
train_cfg = dict(max_epochs=200)
