"""Zero-shot CLIP with several templates, whose features are averaged.

    python tools/test.py configs/zeroshot/zeroshot_ensemble_vitb16_eurosat.py

The 7 templates that CLIP's authors selected for ImageNet, and the benchmark's
own (None), as in CoOp's code (ZeroshotCLIP2); for ImageNet that code leaves
the latter out.
"""

_base_ = ['../runtime.py', '../sgd.py']

model = dict(
    type='PromptedCLIP',
    pretrained='openai',
    templates=[
        'itap of a {}.',
        'a bad photo of the {}.',
        'a origami {}.',
        'a photo of the large {}.',
        'a {} in a video game.',
        'art of the {}.',
        'a photo of the small {}.',
        None,
    ],
    text_prompt=None,
    visual_prompt=None,
    head=dict(type='SimilarityHead'),
)
