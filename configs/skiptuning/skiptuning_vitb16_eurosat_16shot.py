"""SkipTuning, ViT-B/16, EuroSAT, 16 shots.

    python tools/train.py configs/skiptuning/skiptuning_vitb16_eurosat_16shot.py

40 epochs with batches of 4 images of one class: the authors' setting. Their
template for EuroSAT is the benchmark's.
"""

_base_ = ['../_base_/methods/skiptuning.py', '../_base_/datasets/eurosat.py']

model = dict(arch='ViT-B-16-quickgelu', classes=_base_.dataset.name)
train_dataloader = dict(
    batch_size=4, batch_sampler=dict(type='SingleClassBatchSampler'), dataset=dict(shots=16)
)
train_cfg = dict(_delete_=True, type='KeptStatesTrainLoop', max_epochs=40, val_interval=1000000)
