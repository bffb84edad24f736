"""PromptKD on EuroSAT: ViT-B/16 learns from ViT-L/14, without labels.

    python tools/train.py configs/promptkd/promptkd_vitb16_eurosat.py

The teacher is frozen CLIP. The authors' has PromptSRC's prompts, trained on
16 shots of the base classes; with the file of such a training of ours:

    --cfg-options model.teacher.checkpoint=work_dirs/promptsrc/epoch_50.pth \\
        model.teacher.model.text_prompt.type=DeepCoOp \\
        model.teacher.model.text_prompt.num_layers=9 \\
        "model.teacher.model.text_prompt.init_words=a photo of a" \\
        model.teacher.model.visual_prompt.type=VPT \\
        model.teacher.model.visual_prompt.num_tokens=4 \\
        model.teacher.model.visual_prompt.num_layers=9 \\
        model.teacher.model.visual_prompt.pre_norm=True

(and ``model.teacher.model.transfer=True`` where it was trained for other classes).
"""

_base_ = ['../_base_/methods/promptkd.py', '../_base_/datasets/eurosat.py']

model = dict(
    arch='ViT-B-16-quickgelu',
    classes=_base_.dataset.name,
    teacher=dict(model=dict(arch='ViT-L-14-quickgelu', pretrained='openai')),
)
train_dataloader = dict(batch_size=8, dataset=dict(shots=None, unlabelled=True))
train_cfg = dict(max_epochs=20)
