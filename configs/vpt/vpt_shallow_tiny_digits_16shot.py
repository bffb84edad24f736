"""VPT-shallow on the built-in example.

    python tools/train.py configs/vpt/vpt_shallow_tiny_digits_16shot.py

All values are our own, chosen on the pool half of the digits, never on the
test half.
"""

_base_ = ['../_base_/methods/vpt_shallow.py', '../_base_/tiny_clip_digits.py']

model = dict(**_base_.pop('tiny'), visual_prompt=dict(num_tokens=8))
optim_wrapper = dict(optimizer=dict(_delete_=True, type='AdamW', lr=5e-3))
param_scheduler = dict(warmup_epochs=1)
