"""Tip-Adapter-F on the built-in example.

    python tools/train.py configs/tip_adapter/tip_adapter_f_tiny_digits_16shot.py

All values are our own, after those of CoOp and DPT on the same data.
"""
_base_ = ['../_base_/methods/tip_adapter_f.py', '../_base_/datasets/digits.py']

model = dict(
    arch='mmdpt-tiny',
    pretrained='mmdpt-tiny',
    classes=_base_.dataset.name,
    head=dict(num_keys=160, alpha=2.))
optim_wrapper = dict(optimizer=dict(lr=1e-3))
train_dataloader = dict(dataset=dict(shots=16))
train_cfg = dict(max_epochs=20)
