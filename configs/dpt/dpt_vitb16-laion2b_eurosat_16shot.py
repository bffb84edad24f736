"""DPT, ViT-B/16 of LAION-2B, EuroSAT, 16 shots.

    python tools/train.py configs/dpt/dpt_vitb16-laion2b_eurosat_16shot.py

100 epochs: the authors' default file. The 30 guided epochs of their 1-shot
script are kept: our choice. Trained by open_clip with GELU, so the
architecture has no -quickgelu in its name; other tags of it:
datacomp_xl_s13b_b90k, laion400m_e32.
"""

_base_ = ['../_base_/methods/dpt.py', '../_base_/datasets/eurosat.py']

model = dict(arch='ViT-B-16', pretrained='laion2b_s34b_b88k', classes=_base_.dataset.name)
train_dataloader = dict(dataset=dict(shots=16))
train_cfg = dict(max_epochs=100)
