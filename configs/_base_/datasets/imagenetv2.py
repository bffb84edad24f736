"""ImageNetV2: new test images of ImageNet; evaluation only.

Files, under data/: imagenetv2/imagenetv2-matched-frequency-format-val/ and classnames.txt.
"""

_base_ = ['../few_shot.py']

dataset = dict(name='ImageNetV2', data_root='data')
