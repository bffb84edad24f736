"""CoOp on the built-in example; see configs/dpt/dpt_tiny_digits_16shot.py.

python tools/train.py configs/coop/coop_tiny_digits_16shot.py
"""

_base_ = ['../_base_/methods/coop.py', '../_base_/tiny_clip_digits.py']

model = dict(**_base_.pop('tiny'), text_prompt=dict(num_tokens=8))
optim_wrapper = dict(optimizer=dict(_delete_=True, type='AdamW', lr=1e-2))
