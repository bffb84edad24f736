"""DTD: 47 kinds of textures.

Files, under data/: dtd/images/ and split_zhou_DescribableTextures.json.
"""

_base_ = ['../few_shot.py']

dataset = dict(name='DTD', data_root='data')
