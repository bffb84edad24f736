"""TCP: text prompts with tokens made from each class's frozen feature.

    python tools/train.py configs/tcp/tcp_vitb16_eurosat_16shot.py

`TCP: Textual-based Class-aware Prompt Tuning for Visual-Language Model
<https://arxiv.org/abs/2311.18231>`_

4 context vectors, class tokens in block 8 (from 0), weight 8 of the distance to
the hand-written prompts, batch 32, 50 epochs (25 for ImageNet and SUN397), Adam
with the decay added to the gradient and eps 1e-3, rate 0.002, 1 epoch of warm-up:
the authors' code (configs/trainers/TCP/vit_b16_ep100_ctxv1.yaml, train.py and
the base-to-new script; none is published for few-shot). The templates, of the
anchors and around the context, are theirs; a dataset's own are in its leaf.
"""

_base_ = ['../runtime.py', '../sgd.py']

model = dict(
    type='PromptedCLIP',
    pretrained='openai',
    text_prompt=dict(type='TCP', num_tokens=4, layers=[8], template='X X X X {}.'),
    head=dict(type='KgCoOpHead', weight=8.0),
)

optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='Adam', lr=0.002, eps=1e-3, weight_decay=5e-4)
)
