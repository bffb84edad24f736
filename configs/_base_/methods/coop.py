"""CoOp: learnt text context.

`Learning to Prompt for Vision-Language Models
<https://arxiv.org/abs/2109.01134>`_

Context 16 in front of the class name, rate 0.002, 1 epoch of warm-up: the
authors' code (configs/trainers/CoOp/vit_b16.yaml). Their epochs: 200 for 16
and 8 shots, 100 for 4 and 2, 50 for 1 and for ImageNet.
"""

_base_ = ['../runtime.py', '../sgd.py']

model = dict(
    type='PromptedCLIP',
    pretrained='openai',
    text_prompt=dict(type='CoOp', num_tokens=16),
    head=dict(type='SimilarityHead'),
)
