"""PromptSRC on the built-in example.

    python tools/train.py configs/promptsrc/promptsrc_tiny_digits_16shot.py

All values are our own, chosen on the pool half of the digits, never on the
test half. The benchmark's own template (None) instead of the 60 of photos:
this CLIP has read typed glyphs, and knows the digits poorly with those.
"""

_base_ = ['../_base_/methods/promptsrc.py', '../_base_/tiny_clip_digits.py']

model = dict(
    **_base_.pop('tiny'),
    templates=None,
    text_prompt=dict(num_layers=3, init_words='a photo of the digit'),
    visual_prompt=dict(num_layers=3),
    head=dict(text_weight=5.0, image_weight=2.0),
)
optim_wrapper = dict(optimizer=dict(_delete_=True, type='AdamW', lr=2e-2))
default_hooks = dict(aggregation=dict(mean=25, deviation=5))
train_cfg = dict(max_epochs=30)
