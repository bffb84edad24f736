"""VLP, ViT-B/16, EuroSAT, 16 shots.

    python tools/train.py configs/vlp/vlp_vitb16_eurosat_16shot.py

100 epochs and 30 guided ones, as DPT: our choice.
"""

_base_ = ['../_base_/methods/vlp.py', '../_base_/datasets/eurosat.py']

model = dict(arch='ViT-B-16-quickgelu', classes=_base_.dataset.name)
train_dataloader = dict(dataset=dict(shots=16))
train_cfg = dict(max_epochs=100)
