"""VPT-shallow: learnt tokens before the first block of the image tower.

    python tools/train.py configs/vpt/vpt_shallow_vitb16_eurosat_16shot.py

`Visual Prompt Tuning <https://arxiv.org/abs/2203.12119>`_, on CLIP with the
hand-written template as classifier, as in section 4 of
`DPT <https://arxiv.org/abs/2208.08340>`_.

Everything else, with its sources, as in vpt.py.
"""

_base_ = ['./vpt.py']

model = dict(visual_prompt=dict(deep=False))
