"""MMRL++, ViT-B/16, EuroSAT, 16 shots.

    python tools/train.py configs/mmrlpp/mmrlpp_vitb16_eurosat_16shot.py

100 epochs, lambda 0.01, mix 0.2: the authors' few-shot setting.
"""

_base_ = ['../_base_/methods/mmrlpp.py', '../_base_/datasets/eurosat.py']

model = dict(
    arch='ViT-B-16-quickgelu',
    classes=_base_.dataset.name,
    text_prompt=dict(mix=0.2),
    head=dict(weight=0.01, fusion='always'),
)
train_dataloader = dict(dataset=dict(shots=16))
train_cfg = dict(max_epochs=100)
