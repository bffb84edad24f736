"""Flowers102: 102 kinds of flowers.

Files, under data/: oxford_flowers/jpg/ and split_zhou_OxfordFlowers.json.
"""

_base_ = ['../few_shot.py']

dataset = dict(name='Flowers102', data_root='data')
