"""ImageNet: 1,000 kinds of objects; the validation images are the test list.

Files, under data/: imagenet/images/{train,val}/ and classnames.txt.
"""

_base_ = ['../few_shot.py']

dataset = dict(name='ImageNet', data_root='data')
