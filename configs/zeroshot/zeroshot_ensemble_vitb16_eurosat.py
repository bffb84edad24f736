"""Zero-shot CLIP with 8 templates, ViT-B/16, EuroSAT.

python tools/test.py configs/zeroshot/zeroshot_ensemble_vitb16_eurosat.py
"""

_base_ = ['../_base_/methods/zeroshot_ensemble.py', '../_base_/datasets/eurosat.py']

model = dict(arch='ViT-B-16-quickgelu', classes=_base_.dataset.name)
