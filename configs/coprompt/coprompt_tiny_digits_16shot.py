"""CoPrompt on the built-in example.

    python tools/train.py configs/coprompt/coprompt_tiny_digits_16shot.py

All values are our own: the epochs are those of MaPLe on the digits, the rate was
searched (configs/sweeps/tiny_digits_search.py), the weight was not. The sentences,
too, are ours (digits.json).
"""

_base_ = ['../_base_/methods/coprompt.py', '../_base_/tiny_clip_digits.py']

model = dict(
    **_base_.pop('tiny'),
    text_prompt=dict(num_layers=3, frozen_words='of the digit'),
    head=dict(sentences='{{fileDirname}}/digits.json', weight=0.5),
)
load, resize, *view, _ = _base_.train_pipeline
train_dataloader = dict(
    dataset=dict(
        pipeline=[
            load,
            resize,
            dict(type='KeyMapper', remapping=dict(img='img2'), transforms=view),
            *view,
            dict(type='PackInputs', algorithm_keys=['img2']),
        ]
    )
)
optim_wrapper = dict(optimizer=dict(_delete_=True, type='AdamW', lr=5e-3))
train_cfg = dict(max_epochs=30)
