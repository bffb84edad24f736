"""What the methods share on the built-in example: its CLIP, 16 shots, 50 epochs.

Bases must not say the same key twice, and the method says ``model``. So a leaf
takes ``tiny`` out, into its own:

    model = dict(**_base_.pop('tiny'), text_prompt=dict(num_tokens=8))
"""

_base_ = ['./datasets/digits.py']

tiny = dict(arch='mmdpt-tiny', pretrained='mmdpt-tiny', classes=_base_.dataset.name)
train_cfg = dict(max_epochs=50)
