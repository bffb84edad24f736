"""MMRL, ViT-B/16, EuroSAT, 16 shots.

    python tools/train.py configs/mmrl/mmrl_vitb16_eurosat_16shot.py

50 epochs, lambda 0.01, 2048 dimensions: the authors' few-shot setting.
"""

_base_ = ['../_base_/methods/mmrl.py', '../_base_/datasets/eurosat.py']

model = dict(
    arch='ViT-B-16-quickgelu',
    classes=_base_.dataset.name,
    text_prompt=dict(space_dim=2048),
    head=dict(weight=0.01, fusion='always'),
)
train_dataloader = dict(dataset=dict(shots=16))
train_cfg = dict(max_epochs=50)
