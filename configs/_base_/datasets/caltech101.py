"""Caltech101: 100 kinds of objects.

Files, under data/: caltech-101/101_ObjectCategories/ and split_zhou_Caltech101.json.
"""

_base_ = ['../few_shot.py']

dataset = dict(name='Caltech101', data_root='data')
