"""TCP, ViT-B/16, EuroSAT, 16 shots.

    python tools/train.py configs/tcp/tcp_vitb16_eurosat_16shot.py

50 epochs: the authors' base-to-new setting, none is published for few-shot.
"""

_base_ = ['../_base_/methods/tcp.py', '../_base_/datasets/eurosat.py']

model = dict(arch='ViT-B-16-quickgelu', classes=_base_.dataset.name)
train_dataloader = dict(dataset=dict(shots=16))
train_cfg = dict(max_epochs=50)
