"""CoCoOp: learnt text context that every image shifts.

    python tools/train.py configs/cocoop/cocoop_vitb16_eurosat_16shot.py

`Conditional Prompt Learning for Vision-Language Models
<https://arxiv.org/abs/2203.05557>`_

Context "a photo of a", batch 1, 10 epochs, rate 0.002, 1 epoch of warm-up:
the authors' code (configs/trainers/CoCoOp/vit_b16_c4_ep10_batch1_ctxv1.yaml).
Made for new classes rather than for the highest accuracy on the trained ones;
a step costs as many text passes as the batch has images.
"""

_base_ = ['../runtime.py', '../sgd.py']

model = dict(
    type='PromptedCLIP',
    pretrained='openai',
    text_prompt=dict(type='CoCoOp', init_words='a photo of a'),
    head=dict(type='SimilarityHead'),
)
