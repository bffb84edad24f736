"""2SFS on the built-in example.

    python tools/train.py configs/twosfs/twosfs_tiny_digits_16shot.py

All values are our own, chosen on the pool half of the digits, never on the
test half.
"""

_base_ = ['../_base_/methods/twosfs.py', '../_base_/tiny_clip_digits.py']

model = dict(**_base_.pop('tiny'), templates=None)
optim_wrapper = dict(optimizer=dict(lr=5e-3))
