"""Your own photos; see docs/own_data.md.

Either a folder with one subfolder a class, a folder with train/, test/ and
perhaps val/, a CSV file (path, label), or a split file:

    --cfg-options dataset.data_root=photos dataset.templates=a_photo_of_a_{}.
"""
_base_ = ['../few_shot.py']

dataset = dict(
    name='Custom',
    own=True,
    data_root='data/custom',
    classes=None,  # names in label order, or a .txt; None: as the data say
    templates=None,  # one, a list, or a .txt; None: 'a photo of a {}.'
    image_dir='',  # where the paths of a CSV or split file start
    fractions=(0.5, 0.2, 0.3))  # train, val, test, if the data do not say

# all training images there are
train_dataloader = dict(dataset=dict(shots=None))
