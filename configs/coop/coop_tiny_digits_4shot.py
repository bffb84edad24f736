"""CoOp on the built-in example, 4 shots: one step per epoch, so more epochs."""

_base_ = ['./coop_tiny_digits_16shot.py']

train_dataloader = dict(dataset=dict(shots=4))
train_cfg = dict(max_epochs=200)
