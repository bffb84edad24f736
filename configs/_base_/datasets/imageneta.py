"""ImageNetA: hard photos of 200 of ImageNet's classes; evaluation only.

Files, under data/: imagenet-adversarial/imagenet-a/ and classnames.txt.
"""

_base_ = ['../few_shot.py']

dataset = dict(name='ImageNetA', data_root='data')
