"""DPT, ViT-B/16, EuroSAT, 8 shots.

    python tools/train.py configs/dpt/dpt_vitb16_eurosat_8shot.py

100 epochs: the authors' default file. The 30 guided epochs of their 1-shot
script are kept: our choice.
"""

_base_ = ['../_base_/methods/dpt.py', '../_base_/datasets/eurosat.py']

model = dict(arch='ViT-B-16-quickgelu', classes=_base_.dataset.name)
train_dataloader = dict(dataset=dict(shots=8))
train_cfg = dict(max_epochs=100)
