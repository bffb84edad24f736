"""CoPrompt: MaPLe with adapters, consistent with sentences and with a second view.

    python tools/train.py configs/coprompt/coprompt_vitb16_eurosat_16shot.py

`Consistency-guided Prompt Learning for Vision-Language Models
<https://arxiv.org/abs/2306.01195>`_

"a photo of a", adapters with shares of 0.1 (image) and 0.2 (text), batch 4, 8
epochs (Food101 5), rate 0.0035, 1 epoch of warm-up: the authors' code. There
the number of vectors, the layers and the weight depend on the dataset:
ImageNet 4, 12, 8; Caltech101 4, 12, 4; pets 2, 12, 0.1; cars 4, 12, 4; flowers
4, 9, 8; food 4, 9, 0.5; aircraft 4, 9, 2; SUN397 4, 12, 8; DTD 2, 12, 8;
EuroSAT 2, 12, 0.1; UCF101 4, 12, 2. A leaf sets ``model.head.sentences``, the
file with sentences per class, and takes ``two_views`` as its pipeline: two
RandAugments (torchvision's default strength) of the whole picture at 224 x 224.
"""

_base_ = ['../runtime.py', '../sgd.py']

model = dict(
    type='PromptedCLIP',
    pretrained='openai',
    text_prompt=dict(type='DeepCoOp', num_layers=12, init_words='a photo', frozen_words='of a'),
    visual_prompt=dict(type='MaPLe'),
    head=dict(type='CoPromptHead', weight=8.0, image_share=0.1, text_share=0.2),
)

optim_wrapper = dict(optimizer=dict(lr=0.0035))

view = [
    dict(type='NumpyToPIL', to_rgb=True),
    dict(type='torchvision/RandAugment'),
    dict(type='PILToNumpy', to_bgr=True),
]
two_views = [
    dict(type='LoadPILImage'),
    dict(type='Resize', scale=(224, 224), interpolation='bicubic', backend='pillow'),
    dict(type='KeyMapper', remapping=dict(img='img2'), transforms=view),
    *view,
    dict(type='PackInputs', algorithm_keys=['img2']),
]
