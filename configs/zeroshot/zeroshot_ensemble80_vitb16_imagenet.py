"""Zero-shot CLIP with 80 templates, ViT-B/16, ImageNet.

python tools/test.py configs/zeroshot/zeroshot_ensemble80_vitb16_imagenet.py
"""

_base_ = ['../_base_/methods/zeroshot_ensemble80.py', '../_base_/datasets/imagenet.py']

model = dict(arch='ViT-B-16-quickgelu', classes=_base_.dataset.name)
