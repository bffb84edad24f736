"""EuroSAT: 10 kinds of land use, 64 x 64 satellite photos.

Files: data/eurosat/2750/ and data/eurosat/split_zhou_EuroSAT.json.
"""
_base_ = ['../few_shot.py']

dataset = dict(name='EuroSAT')

train_dataloader = dict(dataset=dict(benchmark='EuroSAT'))
val_dataloader = dict(dataset=dict(benchmark='EuroSAT'))
test_dataloader = val_dataloader
