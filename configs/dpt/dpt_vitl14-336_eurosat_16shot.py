"""DPT, ViT-L/14 at 336 x 336, EuroSAT, 16 shots.

    python tools/train.py configs/dpt/dpt_vitl14-336_eurosat_16shot.py

100 epochs: the authors' default file. The 30 guided epochs of their 1-shot
script are kept: our choice.
"""

_base_ = ['../_base_/methods/dpt.py', '../_base_/datasets/eurosat.py']

image_size = 336
train_pipeline = [dict(step) for step in _base_.train_pipeline]
train_pipeline[1].update(scale=image_size)
test_pipeline = [dict(step) for step in _base_.test_pipeline]
test_pipeline[1].update(scale=image_size)
test_pipeline[2].update(crop_size=image_size)

model = dict(arch='ViT-L-14-336-quickgelu', classes=_base_.dataset.name)
train_dataloader = dict(dataset=dict(shots=16, pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
train_cfg = dict(max_epochs=100)
