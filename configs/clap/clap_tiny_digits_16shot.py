"""CLAP on the built-in example, 16 shots.

    python tools/train.py configs/clap/clap_tiny_digits_16shot.py

All values are those of the base config.
"""

_base_ = ['../_base_/methods/clap.py', '../_base_/tiny_clip_digits.py']

model = dict(**_base_.pop('tiny'))
train_dataloader = dict(batch_size=256)
train_cfg = dict(_base_.pop('loop'), max_epochs=300)
test_cfg = dict(type='FrozenFeatureTestLoop', cache_dir=True)
