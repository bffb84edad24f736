"""DPT, ViT-B/16, your own photos; docs/own_data.md explains it.

    python tools/train.py configs/dpt/dpt_vitb16_custom.py --cfg-options \
        dataset.data_root=photos dataset.templates=a_photo_of_a_{}.

100 epochs: the authors' default file. All training photos are used, none are
put aside for validation, which DPT does not ask for (draw_val=False), and the
class-aware prompts stand for the top 2 classes, so that 2 classes suffice: our
choices.
"""

_base_ = ['../_base_/methods/dpt.py', '../_base_/datasets/custom.py']

model = dict(arch='ViT-B-16-quickgelu', classes=_base_.dataset.name, visual_prompt=dict(top_k=2))
train_cfg = dict(max_epochs=100)
