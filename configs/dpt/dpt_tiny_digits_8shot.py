"""DPT on the built-in example, 8 shots: two steps per epoch, so more epochs."""

_base_ = ['./dpt_tiny_digits_16shot.py']

model = dict(head=dict(guided_epochs=50))
train_dataloader = dict(dataset=dict(shots=8))
train_cfg = dict(max_epochs=100)
