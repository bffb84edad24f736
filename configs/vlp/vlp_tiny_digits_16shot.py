"""VLP on the built-in example.

    python tools/train.py configs/vlp/vlp_tiny_digits_16shot.py

All values are our own, chosen on the pool half of the digits, never on the
test half.
"""

_base_ = ['../_base_/methods/vlp.py', '../_base_/tiny_clip_digits.py']

model = dict(
    **_base_.pop('tiny'),
    text_prompt=dict(num_tokens=8),
    visual_prompt=dict(num_tokens=8),
    head=dict(guided_epochs=25),
)
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='AdamW', lr=1e-2),
    paramwise_cfg=dict(_delete_=True, custom_keys={'visual_prompt': dict(lr_mult=0.3)}),
)
param_scheduler = dict(warmup_epochs=1)
