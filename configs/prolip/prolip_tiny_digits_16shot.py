"""ProLIP on the built-in example, 16 shots.

    python tools/train.py configs/prolip/prolip_tiny_digits_16shot.py

All values but the number of views are those of the base config.
"""

_base_ = ['../_base_/methods/prolip.py', '../_base_/tiny_clip_digits.py']

model = dict(**_base_.pop('tiny'))
train_cfg = dict(_base_.pop('loop'), views=20)
test_cfg = dict(type='FrozenFeatureTestLoop', cache_dir=True)
