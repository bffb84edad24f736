"""PromptSRC: deep prompts in both towers, kept close to frozen CLIP.

    python tools/train.py configs/promptsrc/promptsrc_vitb16_eurosat_16shot.py

`Self-regulating Prompts: Foundational Model Adaptation without Forgetting
<https://arxiv.org/abs/2307.06948>`_

4 and 4 vectors, 9 layers in both towers, "a photo of a", weights 25 and 10,
batch 4, rate 0.0025, 1 epoch of warm-up: the authors' code (configs/trainers/
PromptSRC/vit_b16_c2_ep20_batch4_4+4ctx.yaml). Few-shot: 50 epochs, and a mean
and deviation of the aggregation of 45 and 5 (cars, flowers, aircraft, DTD,
EuroSAT) or 30 and 30 (ImageNet, Caltech101, pets, food, UCF101, SUN397); base
to new: 20 epochs, 15 and 1. The 60 templates are theirs.
"""

_base_ = ['../runtime.py', '../sgd.py']
import open_clip  # noqa: E402

# in their order: of CLIP's list for ImageNet the first 60, the plainest in front
templates = sorted(
    (fill('{}') for fill in open_clip.OPENAI_IMAGENET_TEMPLATES[:60]),
    key=lambda template: template != 'a photo of a {}.',
)
model = dict(
    type='PromptedCLIP',
    pretrained='openai',
    templates=templates,
    normalise_templates=False,
    text_prompt=dict(type='DeepCoOp', num_layers=9, init_words='a photo of a'),
    visual_prompt=dict(type='VPT', num_tokens=4, num_layers=9, pre_norm=True),
    head=dict(type='PromptSRCHead', text_weight=25.0, image_weight=10.0),
)

optim_wrapper = dict(optimizer=dict(lr=0.0025))
default_hooks = dict(aggregation=dict(type='GaussianAggregationHook', mean=45, deviation=5))
