"""Zero-shot CLIP with 80 templates, ViT-B/16, EuroSAT.

python tools/test.py configs/zeroshot/zeroshot_ensemble80_vitb16_eurosat.py
"""

_base_ = ['../_base_/methods/zeroshot_ensemble80.py', '../_base_/datasets/eurosat.py']

model = dict(arch='ViT-B-16-quickgelu', classes=_base_.dataset.name)
