"""Food101: 101 dishes.

Files, under data/: food-101/images/ and split_zhou_Food101.json.
"""

_base_ = ['../few_shot.py']

dataset = dict(name='Food101', data_root='data')
