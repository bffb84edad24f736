"""What the methods share on your own photos with the built-in CLIP: 32 pixels, 30 epochs.

As in tiny_clip_digits.py, a leaf takes ``tiny`` out, into its own ``model``.
"""

_base_ = ['./datasets/custom.py']

image_size = 32
load = dict(type='LoadPILImage', upright=True)
resize = dict(type='ResizeEdge', scale=image_size, interpolation='bicubic', backend='pillow')
crop = dict(type='CenterCrop', crop_size=image_size)
train_pipeline = [
    load,
    resize,
    crop,
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
test_pipeline = [load, resize, crop, dict(type='PackInputs')]

tiny = dict(arch='mmdpt-tiny', pretrained='mmdpt-tiny', classes=_base_.dataset.name)
train_dataloader = dict(
    batch_size=8, num_workers=0, persistent_workers=False, dataset=dict(pipeline=train_pipeline)
)
val_dataloader = dict(num_workers=0, persistent_workers=False, dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
train_cfg = dict(max_epochs=30)
