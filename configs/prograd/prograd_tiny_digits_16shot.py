"""ProGrad on the built-in example.

    python tools/train.py configs/prograd/prograd_tiny_digits_16shot.py

All values are our own, chosen on the pool half of the digits, never on the
test half.
"""

_base_ = ['../_base_/methods/prograd.py', '../_base_/tiny_clip_digits.py']

model = dict(**_base_.pop('tiny'))
optim_wrapper = dict(optimizer=dict(_delete_=True, type='AdamW', lr=2e-2))
