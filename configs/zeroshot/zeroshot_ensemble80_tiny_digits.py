"""Zero-shot CLIP with 80 templates on the built-in example.

python tools/test.py configs/zeroshot/zeroshot_ensemble80_tiny_digits.py
"""

_base_ = ['../_base_/methods/zeroshot_ensemble80.py', '../_base_/datasets/digits.py']

model = dict(arch='mmdpt-tiny', pretrained='mmdpt-tiny', classes=_base_.dataset.name)
