"""Zero-shot CLIP with several templates, whose features are averaged.

    python tools/test.py configs/zeroshot/zeroshot_ensemble_vitb16_eurosat.py

The 7 templates that CLIP's authors selected for ImageNet, and the benchmark's
own (None), as in CoOp's code (ZeroshotCLIP2); for ImageNet that code leaves
the latter out.
"""

_base_ = ['./zeroshot.py']

model = dict(
    templates=[
        'itap of a {}.',
        'a bad photo of the {}.',
        'a origami {}.',
        'a photo of the large {}.',
        'a {} in a video game.',
        'art of the {}.',
        'a photo of the small {}.',
        None,
    ]
)
