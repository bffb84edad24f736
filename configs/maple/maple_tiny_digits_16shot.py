"""MaPLe on the built-in example.

    python tools/train.py configs/maple/maple_tiny_digits_16shot.py

All values are our own, chosen on the pool half of the digits, never on the
test half.
"""

_base_ = ['../_base_/methods/maple.py', '../_base_/tiny_clip_digits.py']

model = dict(**_base_.pop('tiny'), text_prompt=dict(num_layers=3, frozen_words='of the digit'))
optim_wrapper = dict(optimizer=dict(_delete_=True, type='AdamW', lr=1e-2))
train_cfg = dict(max_epochs=30)
