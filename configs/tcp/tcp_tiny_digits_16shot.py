"""TCP on the built-in example.

    python tools/train.py configs/tcp/tcp_tiny_digits_16shot.py

All values are our own. The rate was searched (configs/sweeps/tiny_digits_search.py), the
others are first guesses.
"""

_base_ = ['../_base_/methods/tcp.py', '../_base_/tiny_clip_digits.py']

model = dict(
    **_base_.pop('tiny'),
    text_prompt=dict(layers=[1], template='X X X X {}.'),
    head=dict(weight=1.0),
)
optim_wrapper = dict(optimizer=dict(_delete_=True, type='AdamW', lr=1e-2))
