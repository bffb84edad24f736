"""ImageNetSketch: sketches of ImageNet's classes; evaluation only.

Files, under data/: imagenet-sketch/images/ and classnames.txt.
"""

_base_ = ['../few_shot.py']

dataset = dict(name='ImageNetSketch', data_root='data')
