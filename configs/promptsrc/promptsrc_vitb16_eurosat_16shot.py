"""PromptSRC, ViT-B/16, EuroSAT, 16 shots.

    python tools/train.py configs/promptsrc/promptsrc_vitb16_eurosat_16shot.py

50 epochs, batches of 4, mean 45, deviation 5: the authors' few-shot setting.
"""

_base_ = ['../_base_/methods/promptsrc.py', '../_base_/datasets/eurosat.py']

model = dict(arch='ViT-B-16-quickgelu', classes=_base_.dataset.name)
train_dataloader = dict(batch_size=4, dataset=dict(shots=16))
train_cfg = dict(max_epochs=50)
