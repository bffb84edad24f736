"""DPT, ViT-B/16, SUN397, 1 shot.

    python tools/train.py configs/dpt/dpt_vitb16_sun397_1shot.py

60 epochs: the authors' 1-shot script.
"""

_base_ = ['../_base_/methods/dpt.py', '../_base_/datasets/sun397.py']

model = dict(arch='ViT-B-16-quickgelu', classes=_base_.dataset.name)
train_dataloader = dict(dataset=dict(shots=1))
train_cfg = dict(max_epochs=60)
