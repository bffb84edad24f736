"""PromptKD on the built-in example: the built-in CLIP teaches itself, without labels.

    python tools/train.py configs/promptkd/promptkd_tiny_digits.py

The teacher has the same weights and no prompts. With those of a training of ours:

    --cfg-options model.teacher.checkpoint=work_dirs/promptsrc_tiny_digits_16shot/epoch_30.pth

All values are our own.
"""

_base_ = ['../_base_/methods/promptkd.py', '../_base_/tiny_clip_digits.py']

model = dict(
    **_base_.pop('tiny'),
    visual_prompt=dict(num_layers=3),
    head=dict(size=128, weight=100.0),
    teacher=dict(
        model=dict(arch='mmdpt-tiny', pretrained='mmdpt-tiny', transfer=False), checkpoint=None
    ),
)
optim_wrapper = dict(optimizer=dict(_delete_=True, type='AdamW', lr=1e-3))
train_dataloader = dict(dataset=dict(shots=None, unlabelled=True))
train_cfg = dict(max_epochs=20)
