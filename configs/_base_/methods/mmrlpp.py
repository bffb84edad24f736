"""MMRL++: MMRL with shared projections and tokens that mix from block to block.

    python tools/train.py configs/mmrlpp/mmrlpp_vitb16_eurosat_16shot.py

`MMRL++: Parameter-Efficient and Interaction-Aware Representation Learning for
Vision-Language Models <https://arxiv.org/abs/2505.10088>`_

5 tokens in layers 6 to 12 (from 1) of both towers, a common space of 512
dimensions, alpha 0.7, ranks 4 and 64, logit scale 100, AdamW, weight decay 5e-4, 1 epoch of
warm-up: the authors' code (configs/trainers/MMRLpp/*.yaml). Few-shot: rate 0.002, batch
32, 100 epochs (ImageNet 0.001, 5 epochs); base to new as MMRL.
Lambda and the share of each layer's own tokens (`mix`) depend on the dataset and are in its leaf.
"""

_base_ = ['./mmrl.py']

model = dict(text_prompt=dict(rank=4), head=dict(rank=64))
optim_wrapper = dict(optimizer=dict(lr=0.002))
