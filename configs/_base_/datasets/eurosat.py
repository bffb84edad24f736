"""EuroSAT: 10 kinds of land use, 64 x 64 satellite photos.

Files, under data/: eurosat/2750/ and split_zhou_EuroSAT.json.
"""

_base_ = ['../few_shot.py']

dataset = dict(name='EuroSAT', data_root='data')
