"""SUN397: 397 kinds of places.

Files, under data/: sun397/SUN397/ and split_zhou_SUN397.json.
"""

_base_ = ['../few_shot.py']

dataset = dict(name='SUN397', data_root='data')
