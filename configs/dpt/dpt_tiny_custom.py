"""DPT on your own photos with the built-in CLIP; docs/tutorial.md explains it.

    python tools/train.py configs/dpt/dpt_tiny_custom.py --cfg-options \
        dataset.data_root=photos dataset.templates=a_photo_of_the_digit_{}.

For trying the commands without a download, in half a minute: this CLIP knows
typed characters only. For real photos take dpt_vitb16_custom.py. All values
are our own, those of dpt_tiny_digits_16shot.py but for fewer steps.
"""

_base_ = ['../_base_/methods/dpt.py', '../_base_/tiny_clip_custom.py']

model = dict(
    **_base_.pop('tiny'),
    text_prompt=dict(num_tokens=8),
    visual_prompt=dict(num_tokens=8, top_k=2),
    head=dict(guided_epochs=15),
)
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='AdamW', lr=1e-2),
    paramwise_cfg=dict(_delete_=True, custom_keys={'visual_prompt.layers': dict(lr_mult=0.3)}),
)
param_scheduler = dict(warmup_epochs=1)
