"""PromptKD: a small CLIP learns a large one's answers to unlabelled images.

    python tools/train.py configs/promptkd/promptkd_vitb16_eurosat.py

`PromptKD: Unsupervised Prompt Distillation for Vision-Language Models
<https://arxiv.org/abs/2403.02781>`_

Student: 4 visual vectors in 9 blocks (3 where teacher and student have one
class list that no label ever named, "cross"), and a projector into the
teacher's joint space. Weight 1000 (aircraft, flowers, DTD: 200), temperature 1,
batch 8, 20 epochs, rate 0.005, 1 epoch of warm-up at 1e-5: the authors' code
(configs/trainers/PromptKD/vit_b16_c2_ep20_batch8_4+4ctx.yaml and their scripts).
Theirs deploys the checkpoint that is best on test images; ours takes the last.

The teacher: ``model.teacher.checkpoint`` is the file of a PromptSRC training
of ours; without it frozen CLIP teaches, ``model.teacher.model``. The images:
``train_dataloader.dataset.unlabelled``, True for the train list or a folder.
"""

_base_ = ['../runtime.py', '../sgd.py']

model = dict(
    type='PromptedCLIP',
    pretrained='openai',
    visual_prompt=dict(type='VPT', num_tokens=4, num_layers=9, pre_norm=True),
    head=dict(type='PromptKDHead', size=768, weight=1000.0, temperature=1.0),
)

optim_wrapper = dict(optimizer=dict(lr=0.005))
# with a folder, the teacher's answers are kept there
default_hooks = dict(kept=dict(type='KeptTeacherHook', cache_dir=None, views=None))
