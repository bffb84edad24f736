"""PromptSRC on the built-in example.

    python tools/train.py configs/promptsrc/promptsrc_tiny_digits_16shot.py

All values are our own, after those of CoOp and DPT on the same data.
"""
_base_ = ['../_base_/methods/promptsrc.py', '../_base_/datasets/digits.py']

model = dict(
    arch='mmdpt-tiny',
    pretrained='mmdpt-tiny',
    classes=_base_.dataset.name,
    text_prompt=dict(num_layers=3),
    visual_prompt=dict(num_layers=3))
optim_wrapper = dict(optimizer=dict(_delete_=True, type='AdamW', lr=3e-3))
default_hooks = dict(aggregation=dict(mean=25, deviation=5))
train_dataloader = dict(dataset=dict(shots=16))
train_cfg = dict(max_epochs=30)
