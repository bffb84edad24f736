"""CoCoOp on the built-in example.

    python tools/train.py configs/cocoop/cocoop_tiny_digits_16shot.py

All values are our own, chosen on the pool half of the digits, never on the
test half.
"""

_base_ = ['../_base_/methods/cocoop.py', '../_base_/tiny_clip_digits.py']

model = dict(**_base_.pop('tiny'), text_prompt=dict(reduction=4))
optim_wrapper = dict(optimizer=dict(_delete_=True, type='AdamW', lr=1.5e-2))
train_cfg = dict(max_epochs=25)
