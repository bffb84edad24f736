"""ImageNetR: art of 200 of ImageNet's classes; evaluation only.

Files, under data/: imagenet-rendition/imagenet-r/ and classnames.txt.
"""

_base_ = ['../few_shot.py']

dataset = dict(name='ImageNetR', data_root='data')
