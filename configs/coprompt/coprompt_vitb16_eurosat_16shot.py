"""CoPrompt, ViT-B/16, EuroSAT, 16 shots.

    python tools/train.py configs/coprompt/coprompt_vitb16_eurosat_16shot.py

2 vectors, 12 layers, weight 0.1, 8 epochs with batches of 4, two views from
RandAugment of the whole picture at 224 x 224: the authors' setting (the
strength of the augmentation is torchvision's default). The sentences are our
own; theirs, 10 per class, are in the folder gpt_file of their code: set
model.head.sentences to such a file.
"""

_base_ = ['../_base_/methods/coprompt.py', '../_base_/datasets/eurosat.py']

model = dict(
    arch='ViT-B-16-quickgelu',
    classes=_base_.dataset.name,
    head=dict(sentences='{{fileDirname}}/eurosat.json', weight=0.1),
)
view = [
    dict(type='NumpyToPIL', to_rgb=True),
    dict(type='torchvision/RandAugment'),
    dict(type='PILToNumpy', to_bgr=True),
]
train_dataloader = dict(
    batch_size=4,
    dataset=dict(
        shots=16,
        pipeline=[
            dict(type='LoadPILImage'),
            dict(type='Resize', scale=(224, 224), interpolation='bicubic', backend='pillow'),
            dict(type='KeyMapper', remapping=dict(img='img2'), transforms=view),
            *view,
            dict(type='PackInputs', algorithm_keys=['img2']),
        ],
    ),
)
train_cfg = dict(max_epochs=8)
