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

templates = [
    'a photo of a {}.',
    'a bad photo of a {}.',
    'a photo of many {}.',
    'a sculpture of a {}.',
    'a photo of the hard to see {}.',
    'a low resolution photo of the {}.',
    'a rendering of a {}.',
    'graffiti of a {}.',
    'a bad photo of the {}.',
    'a cropped photo of the {}.',
    'a tattoo of a {}.',
    'the embroidered {}.',
    'a photo of a hard to see {}.',
    'a bright photo of a {}.',
    'a photo of a clean {}.',
    'a photo of a dirty {}.',
    'a dark photo of the {}.',
    'a drawing of a {}.',
    'a photo of my {}.',
    'the plastic {}.',
    'a photo of the cool {}.',
    'a close-up photo of a {}.',
    'a black and white photo of the {}.',
    'a painting of the {}.',
    'a painting of a {}.',
    'a pixelated photo of the {}.',
    'a sculpture of the {}.',
    'a bright photo of the {}.',
    'a cropped photo of a {}.',
    'a plastic {}.',
    'a photo of the dirty {}.',
    'a jpeg corrupted photo of a {}.',
    'a blurry photo of the {}.',
    'a photo of the {}.',
    'a good photo of the {}.',
    'a rendering of the {}.',
    'a {} in a video game.',
    'a photo of one {}.',
    'a doodle of a {}.',
    'a close-up photo of the {}.',
    'the origami {}.',
    'the {} in a video game.',
    'a sketch of a {}.',
    'a doodle of the {}.',
    'a origami {}.',
    'a low resolution photo of a {}.',
    'the toy {}.',
    'a rendition of the {}.',
    'a photo of the clean {}.',
    'a photo of a large {}.',
    'a rendition of a {}.',
    'a photo of a nice {}.',
    'a photo of a weird {}.',
    'a blurry photo of a {}.',
    'a cartoon {}.',
    'art of a {}.',
    'a sketch of the {}.',
    'a embroidered {}.',
    'a pixelated photo of a {}.',
    'itap of the {}.',
]
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
