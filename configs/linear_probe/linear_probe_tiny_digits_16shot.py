"""Linear probe on the built-in example, 16 shots.

    python tools/train.py configs/linear_probe/linear_probe_tiny_digits_16shot.py

All values are those of the public protocol.
"""

_base_ = ['../_base_/methods/linear_probe.py', '../_base_/tiny_clip_digits.py']

model = dict(**_base_.pop('tiny'))
train_cfg = _base_.pop('loop')
test_cfg = dict(type='FrozenFeatureTestLoop', cache_dir=True)
