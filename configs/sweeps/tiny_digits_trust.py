"""All methods on the built-in example under three conditions: 16 shots, seeds 1 to 3.

    python tools/sweep.py configs/sweeps/tiny_digits_trust.py --work-dir work_dirs/trust

As the benchmark has it; with an imbalanced support (class 0 has 10 times the images of class
9); with wrong labels for 40 % of the training images. tools/trust_table.py makes the table.
"""

_base_ = []  # with it, MMEngine lets a config import
from mmdpt.sweep import CONFIGS  # noqa: E402

CONDITIONS = dict(plain={}, imbalanced=dict(imbalance=10.0), noisy=dict(label_noise=0.4))

runs = [
    dict(
        name=f'{leaf.stem}_{condition}_seed{seed}',
        config=str(leaf),
        options={
            'default_hooks.report.baselines': [],
            **{f'dataset.protocol.{key}': value for key, value in protocol.items()},
        },
        seed=seed,
    )
    for seed in (1, 2, 3)
    for condition, protocol in CONDITIONS.items()
    for leaf in sorted(CONFIGS.glob('*/*_tiny_digits_16shot.py'))
]
