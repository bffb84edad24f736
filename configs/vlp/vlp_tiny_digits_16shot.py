"""VLP on the built-in example.

    python tools/train.py configs/vlp/vlp_tiny_digits_16shot.py

All values are our own, after those of CoOp and DPT on the same data.
"""
_base_ = ['../_base_/methods/vlp.py', '../_base_/datasets/digits.py']

model = dict(
    arch='mmdpt-tiny',
    pretrained='mmdpt-tiny',
    classes=_base_.dataset.name,
    text_prompt=dict(num_tokens=8),
    visual_prompt=dict(num_tokens=8),
    head=dict(guided_epochs=25))
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='AdamW', lr=1e-2),
    paramwise_cfg=dict(_delete_=True, custom_keys={}))
param_scheduler = dict(warmup_epochs=1)
train_dataloader = dict(dataset=dict(shots=16))
train_cfg = dict(max_epochs=50)
