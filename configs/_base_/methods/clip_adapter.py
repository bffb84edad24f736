"""CLIP-Adapter: a small network on the image features.

    python tools/train.py configs/clip_adapter/clip_adapter_vitb16_eurosat_16shot.py

`CLIP-Adapter <https://arxiv.org/abs/2110.04544>`_: its image adapter, the one
that is public.

Ratio 0.2 and a quarter of the units: the authors' trainer file. It names no
other settings ("follow CoOp's command"), so they are CoOp's.
"""

_base_ = ['../runtime.py', '../sgd.py']

model = dict(
    type='PromptedCLIP',
    pretrained='openai',
    head=dict(type='CLIPAdapterHead', ratio=0.2, reduction=4),
)
