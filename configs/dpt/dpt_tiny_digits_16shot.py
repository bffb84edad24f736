"""DPT on the built-in example: typed glyphs to handwritten digits.

    python tools/train.py configs/dpt/dpt_tiny_digits_16shot.py

Nothing to download; about a minute on two cores. All values are our own,
chosen on the pool half of the digits, never on the test half.
"""

_base_ = ['../_base_/methods/dpt.py', '../_base_/tiny_clip_digits.py']

model = dict(
    **_base_.pop('tiny'),
    text_prompt=dict(num_tokens=8),
    visual_prompt=dict(num_tokens=8, top_k=5),
    head=dict(guided_epochs=25),
)
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='AdamW', lr=5e-3),
    paramwise_cfg=dict(_delete_=True, custom_keys={'visual_prompt.layers': dict(lr_mult=0.3)}),
)
param_scheduler = dict(warmup_epochs=1)
# Logistic regressions on the same images, for honest comparison.
default_hooks = dict(report=dict(baselines=['linear_probe', 'raw_pixels']))
