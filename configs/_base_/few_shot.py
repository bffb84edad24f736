"""Few-shot image data at 224 x 224, as the CoOp benchmark trains and tests.

Augmentation, test transform and batch sizes: CoOp's
configs/datasets and configs/trainers/CoOp/*.yaml. A leaf sets
``train_dataloader.dataset.shots`` and the seed.

``dataset`` says once what the model and the three datasets share: the
benchmark's ``name``, ``data_root``, and which classes, ``subset`` 'all',
'base' or 'new'; and perhaps ``background``, the colour on which transparent
pictures are put (white). So one option moves them all:

    --cfg-options dataset.data_root=/where/my/data/are
"""

dataset = dict(subset='all')
runner_type = 'mmpretrain.FewShotRunner'  # hands ``dataset`` on
custom_hooks = [dict(type='CheckClassesHook')]

data_preprocessor = dict(
    type='ClsDataPreprocessor',
    mean=[122.7709383, 116.7460125, 104.09373615],  # CLIP's, times 255
    std=[68.5005327, 66.6321579, 70.32316305],
    to_rgb=True,
)

image_size = 224

# Pillow throughout: cv2's bicubic has no anti-aliasing
train_pipeline = [
    dict(type='LoadPILImage'),
    dict(
        type='RandomResizedCrop',
        scale=image_size,
        crop_ratio_range=(0.08, 1.0),
        interpolation='bicubic',
        backend='pillow',
    ),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='PackInputs'),
]
test_pipeline = [
    dict(type='LoadPILImage'),
    dict(
        type='ResizeEdge', scale=image_size, edge='short', interpolation='bicubic', backend='pillow'
    ),
    dict(type='CenterCrop', crop_size=image_size),
    dict(type='PackInputs'),
]

train_dataloader = dict(
    batch_size=32,
    num_workers=2,
    persistent_workers=True,
    collate_fn=dict(type='default_collate'),
    sampler=dict(type='DefaultSampler', shuffle=True),
    batch_sampler=dict(type='FewShotBatchSampler'),
    dataset=dict(type='FewShotDataset', split='train', shots=16, seed=1, pipeline=train_pipeline),
)

# The test list, evaluated once, after the last epoch: the benchmark selects
# no model. split='val' with the shots and seed of the training data gives its
# few-shot validation images instead.
val_dataloader = dict(
    batch_size=100,
    num_workers=2,
    persistent_workers=True,
    collate_fn=dict(type='default_collate'),
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='FewShotDataset', split='test', pipeline=test_pipeline),
)
test_dataloader = val_dataloader

val_evaluator = dict(type='Accuracy', topk=(1,))
test_evaluator = val_evaluator

train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=100, val_interval=1000000)
val_cfg = dict()
test_cfg = dict()
