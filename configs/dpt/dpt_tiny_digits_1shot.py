"""DPT on the built-in example, 1 shot: one step per epoch, so more epochs."""

_base_ = ['./dpt_tiny_digits_16shot.py']

model = dict(head=dict(guided_epochs=100))
train_dataloader = dict(dataset=dict(shots=1))
train_cfg = dict(max_epochs=200)
