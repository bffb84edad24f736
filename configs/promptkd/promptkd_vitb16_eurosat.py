"""PromptKD on EuroSAT: ViT-B/16 learns from ViT-L/14, without labels.

    python tools/train.py configs/promptkd/promptkd_vitb16_eurosat.py

The teacher is frozen CLIP. The authors' has PromptSRC's prompts, trained on
16 shots of the base classes. With the checkpoint of such a training of ours:

    --cfg-options model.teacher.checkpoint=FILE model.teacher.model.transfer=True
"""

_base_ = ['../_base_/methods/promptkd.py', '../_base_/datasets/eurosat.py']

model = dict(
    arch='ViT-B-16-quickgelu',
    classes=_base_.dataset.name,
    teacher=dict(
        model=dict(arch='ViT-L-14-quickgelu', pretrained='openai', transfer=False), checkpoint=None
    ),
)
train_dataloader = dict(batch_size=8, dataset=dict(shots=None, unlabelled=True))
train_cfg = dict(max_epochs=20)
