"""The methods that are compared, from simple to complex, with their settings on own photos.

``methods[name]`` of the ``_base_`` configs says what a method is; here is only what a leaf
config says: epochs, batch and, for the built-in CLIP, what fits its size. All are our own
choices. Methods that leave the image alone learn from features that are computed once.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from mmdpt.sweep.compose import TITLES

KEPT = "type='FeatureTrainLoop', views='plain', "
ADAM = "optim_wrapper = dict(optimizer=dict(_delete_=True, type='AdamW', lr=1e-2))"


@dataclass(frozen=True)
class Method:
    """A method on own photos.

    Attributes:
        name: File of ``_base_/methods``.
        loop: Arguments of ``train_cfg``, as in a config.
        epochs: Of the training; None: the method is fitted.
        model: Further arguments of ``model``, as in a config.
        lines: Further lines of the config.
        batch: Images per step.
        settings: What the cross-validation chooses among; they fill ``{...}`` in ``loop`` and
            ``model``.
        tiny: Attributes that differ for the built-in CLIP.
        learns: Whether there is a training.
        adapts_images: Whether image features depend on what is learnt.
    """

    name: str
    loop: str = ''
    epochs: int | None = None
    model: str = ''
    lines: str = ''
    batch: int = 32
    settings: tuple[dict[str, Any], ...] = ({},)
    tiny: dict[str, Any] = field(default_factory=dict)
    learns: bool = True
    adapts_images: bool = False

    @property
    def title(self) -> str:
        """What people call it."""
        return TITLES[self.name]


ALL = (
    Method('zeroshot', learns=False),
    Method(
        'gda',
        loop="_base_.pop('loop'), views='plain', search=None",
        model='head=dict(alpha={alpha})',
        settings=tuple(dict(alpha=alpha) for alpha in (0.1, 1.0, 10.0)),
    ),
    Method(
        'linear_probe',
        loop="_base_.pop('loop'), fit=dict(c={C})",
        settings=tuple(dict(C=c) for c in (0.01, 0.1, 1.0)),
    ),
    Method('clap', loop="_base_.pop('loop'), views='plain', pool=False, ", epochs=300, batch=256),
    Method('clip_adapter', loop=KEPT, epochs=200, tiny=dict(lines=ADAM, epochs=50)),
    Method(
        'coop',
        loop=KEPT,
        epochs=50,
        tiny=dict(model='text_prompt=dict(num_tokens=8)', lines=ADAM, epochs=30),
    ),
    Method(
        'clip_lora',
        epochs=50,
        adapts_images=True,
        tiny=dict(lines='optim_wrapper = dict(optimizer=dict(lr=5e-3))', epochs=30),
    ),
    Method(
        'dpt',
        epochs=100,
        model='visual_prompt=dict(top_k=2)',
        adapts_images=True,
        tiny=dict(
            model='text_prompt=dict(num_tokens=8), visual_prompt=dict(num_tokens=8, top_k=2), '
            'head=dict(guided_epochs=15)',
            lines=f"""{ADAM[:-1]},
    paramwise_cfg=dict(_delete_=True, custom_keys={{'visual_prompt.layers': dict(lr_mult=0.3)}}),
)
param_scheduler = dict(warmup_epochs=1)""",
            epochs=30,
            batch=8,
        ),
    ),
)
METHODS = {method.name: method for method in ALL}


def known(names: Sequence[str] | None) -> list[str]:
    """The methods of these names, from simple to complex; all by default.

    Raises:
        ValueError: If there is no such method.
    """
    unknown = [name for name in names or () if name not in METHODS]
    if unknown:
        raise ValueError(f'no method {unknown[0]!r}: choose among {", ".join(METHODS)}')
    return [name for name in METHODS if names is None or name in names]
