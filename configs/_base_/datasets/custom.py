"""Your own photos; see docs/tutorial.md and docs/own_data.md.

Either a folder with one subfolder per class, a folder with train/, test/ and
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
    rename={},  # better names for classes: dict(folder='name'), or a .csv with folder,name
    fractions=(0.5, 0.2, 0.3),  # train, val, test, if the data do not say
    # Whether the val photos are put aside, for methods that choose settings on
    # them (GDA, linear probe, ...); False: they are learnt from as well.
    draw_val=False,
)

# Phones store photos rotated, with an EXIF note; the benchmarks ignore it.
train_pipeline = [dict(type='LoadPILImage', upright=True), *_base_.train_pipeline[1:]]
test_pipeline = [dict(type='LoadPILImage', upright=True), *_base_.test_pipeline[1:]]

# all training images there are
train_dataloader = dict(dataset=dict(shots=None, pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
