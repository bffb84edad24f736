"""2SFS, ViT-B/16, EuroSAT, 16 shots.

    python tools/train.py configs/twosfs/twosfs_vitb16_eurosat_16shot.py

960 epochs of 5 steps: 300 steps times 16 shots, the authors' setting.
"""

_base_ = ['../_base_/methods/twosfs.py', '../_base_/datasets/eurosat.py']

model = dict(arch='ViT-B-16-quickgelu', classes=_base_.dataset.name)
train_dataloader = dict(batch_sampler=dict(keep_last=True), dataset=dict(shots=16))
train_cfg = dict(max_epochs=960)
