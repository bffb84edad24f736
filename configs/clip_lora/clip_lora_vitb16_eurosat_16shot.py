"""CLIP-LoRA, ViT-B/16, EuroSAT, 16 shots.

    python tools/train.py configs/clip_lora/clip_lora_vitb16_eurosat_16shot.py

1600 epochs of 5 steps: 500 steps times 16 shots, the authors' setting.
"""

_base_ = ['../_base_/methods/clip_lora.py', '../_base_/datasets/eurosat.py']

model = dict(arch='ViT-B-16-quickgelu', classes=_base_.dataset.name)
train_dataloader = dict(dataset=dict(shots=16))
train_cfg = dict(max_epochs=1600)
