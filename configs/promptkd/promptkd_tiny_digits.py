"""PromptKD on the built-in example: the built-in CLIP teaches itself, without labels.

    python tools/train.py configs/promptkd/promptkd_tiny_digits.py

The teacher has the same weights and no prompts. With the prompts of
promptsrc_tiny_digits_16shot.py:

    --cfg-options model.teacher.checkpoint=work_dirs/promptsrc/epoch_30.pth \\
        model.teacher.model.text_prompt.type=DeepCoOp \\
        model.teacher.model.text_prompt.num_layers=3 \\
        "model.teacher.model.text_prompt.init_words=a photo of the digit" \\
        model.teacher.model.visual_prompt.type=VPT \\
        model.teacher.model.visual_prompt.num_tokens=4 \\
        model.teacher.model.visual_prompt.num_layers=3 \\
        model.teacher.model.visual_prompt.pre_norm=True

All values are our own.
"""

_base_ = ['../_base_/methods/promptkd.py', '../_base_/tiny_clip_digits.py']

model = dict(
    **_base_.pop('tiny'),
    visual_prompt=dict(num_layers=3),
    head=dict(size=128, weight=100.0),
    teacher=dict(model=dict(arch='mmdpt-tiny', pretrained='mmdpt-tiny')),
)
optim_wrapper = dict(optimizer=dict(_delete_=True, type='AdamW', lr=1e-3))
train_dataloader = dict(dataset=dict(shots=None, unlabelled=True))
train_cfg = dict(max_epochs=20)
