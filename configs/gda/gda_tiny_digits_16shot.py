"""GDA on the built-in example, 16 shots.

    python tools/train.py configs/gda/gda_tiny_digits_16shot.py

All values are those of the base config.
"""

_base_ = ['../_base_/methods/gda.py', '../_base_/tiny_clip_digits.py']

model = dict(**_base_.pop('tiny'))
train_cfg = _base_.pop('loop')
test_cfg = dict(type='FrozenFeatureTestLoop', cache_dir=True)
