"""The handwritten digits of scikit-learn at 32 x 32; nothing to download.

All values are our own. The augmentation is light, and digits are not flipped.
"""

_base_ = ['../few_shot.py']

dataset = dict(name='Digits')
image_size = 32

train_pipeline = [
    dict(type='LoadPILImage'),
    dict(type='ResizeEdge', scale=image_size, interpolation='bicubic', backend='pillow'),
    dict(type='NumpyToPIL'),
    dict(
        type='torchvision/RandomAffine',
        degrees=10,
        translate=(0.06, 0.06),
        scale=(0.9, 1.1),
        interpolation='bilinear',
    ),
    dict(type='PILToNumpy'),
    dict(type='PackInputs'),
]
test_pipeline = [
    dict(type='LoadPILImage'),
    dict(type='ResizeEdge', scale=image_size, interpolation='bicubic', backend='pillow'),
    dict(type='CenterCrop', crop_size=image_size),
    dict(type='PackInputs'),
]

train_dataloader = dict(
    num_workers=0,
    persistent_workers=False,
    dataset=dict(
        _delete_=True,
        type='DigitsDataset',
        split='train',
        shots=16,
        seed=1,
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=300,
    num_workers=0,
    persistent_workers=False,
    dataset=dict(_delete_=True, type='DigitsDataset', split='test', pipeline=test_pipeline),
)
test_dataloader = val_dataloader
