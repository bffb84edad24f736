"""UCF101: 101 human actions, the middle frames of videos.

Files, under data/: ucf101/UCF-101-midframes/ and split_zhou_UCF101.json.
"""

_base_ = ['../few_shot.py']

dataset = dict(name='UCF101', data_root='data')
