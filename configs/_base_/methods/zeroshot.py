"""Zero-shot CLIP: hand-written templates classify, nothing is learnt.

    python tools/test.py configs/zeroshot/zeroshot_vitb16_eurosat.py

`Learning Transferable Visual Models From Natural Language Supervision
<https://arxiv.org/abs/2103.00020>`_, section 3.1.4

The template is the benchmark's own (the list of CoOp's code), unless
``model.templates`` names others; several are averaged.
"""

_base_ = ['../runtime.py', '../sgd.py']

model = dict(
    type='PromptedCLIP',
    pretrained='openai',
    text_prompt=None,
    visual_prompt=None,
    head=dict(type='SimilarityHead'),
)
