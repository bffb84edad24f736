"""Cross-modal linear probe, ViT-B/16, EuroSAT, 16 shots.

    python tools/train.py configs/crossmodal_lp/crossmodal_lp_vitb16_eurosat_16shot.py

300 epochs: the authors' setting. Batch 256: theirs.
"""

_base_ = ['../_base_/methods/crossmodal_lp.py', '../_base_/datasets/eurosat.py']

model = dict(arch='ViT-B-16-quickgelu', classes=_base_.dataset.name)
train_dataloader = dict(batch_size=256, dataset=dict(shots=16))
train_cfg = dict(_base_.pop('loop'), max_epochs=300)
test_cfg = dict(type='FrozenFeatureTestLoop', cache_dir=True)
