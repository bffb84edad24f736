"""SkipTuning: the upper blocks of both towers learn, over the classes that count in a step.

    python tools/train.py configs/skiptuning/skiptuning_vitb16_eurosat_16shot.py

`Skip Tuning: Pre-trained Vision-Language Models are Effective and Efficient
Adapters Themselves <https://arxiv.org/abs/2412.11509>`_

Blocks from 6 on (from 0), half of the classes and at most 50 always kept,
lambda 0.3, batches of 4 images of one class, few-shot 40 epochs with 1e-5 and
no warm-up: the authors' code. With fewer than 4 shots its batches are mixed:
train_dataloader.batch_sampler.type='FewShotBatchSampler'. Base to new: 20
epochs, optimizer.lr=2e-5, lr_mult 0.25 (5e-6 for the image tower), 1 epoch of
warm-up with warmup_lr=1e-6; other datasets: 1e-5, 0.1 and 1e-8. ImageNet,
SUN397 and Food101: a quarter of the epochs. A leaf sets the loop that keeps
the states below the learnt blocks, and the batches.
"""

_base_ = ['../runtime.py', '../sgd.py']

model = dict(
    type='PromptedCLIP',
    pretrained='openai',
    tuning=dict(type='UpperBlocks', first=6),
    head=dict(type='ClassSkippingHead', keep=0.5, most=50, decay=0.3),
)

optim_wrapper = dict(
    optimizer=dict(lr=1e-5), paramwise_cfg=dict(custom_keys={'tuning.image': dict(lr_mult=1.0)})
)
param_scheduler = dict(warmup_epochs=0)
