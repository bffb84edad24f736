"""SkipTuning on the built-in example.

    python tools/train.py configs/skiptuning/skiptuning_tiny_digits_16shot.py

All values are our own. The rate was searched (configs/sweeps/tiny_digits_search.py): 96.6 %
on the pool half.
"""

_base_ = ['../_base_/methods/skiptuning.py', '../_base_/tiny_clip_digits.py']

model = dict(**_base_.pop('tiny'), tuning=dict(first=1))
optim_wrapper = dict(
    optimizer=dict(lr=5e-3), paramwise_cfg=dict(custom_keys={'tuning.image': dict(lr_mult=1.0)})
)
train_dataloader = dict(batch_size=4, batch_sampler=dict(type='SingleClassBatchSampler'))
train_cfg = dict(_delete_=True, type='KeptStatesTrainLoop', max_epochs=20, val_interval=1000000)
