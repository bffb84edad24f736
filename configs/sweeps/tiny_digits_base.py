r"""Base-to-new on the digits: trained on classes 0 to 4, 16 shots, seeds 1 to 3.

    python tools/sweep.py configs/sweeps/tiny_digits_base.py --work-dir work_dirs/base

Then each checkpoint is tested on both halves:

    for run in work_dirs/base/*_seed?; do
        python tools/test_protocol.py $run/*shot*.py $(cat $run/last_checkpoint) \
            --protocol base-to-new
    done

A head whose rows belong to the trained classes refuses others, so it is left out. GDA
keeps the features of its 80 images in 10 views, of which other classes are made.
"""

_base_ = []  # with it, MMEngine lets a config import
from mmdpt.sweep import CONFIGS  # noqa: E402

TRAINED_CLASSES_ONLY = (
    'ape',
    'clap',
    'crossmodal_lp',
    'linear_probe',
    'lppp',
    'tip_adapter',
    'tip_adapter_f',
    'vpt_linear',
    'zs_lp',
)
MORE = dict(gda={'model.head.num_support': 800})


def method_of(leaf):
    return leaf.stem.removesuffix('_tiny_digits_16shot')


runs = [
    dict(
        name=f'{leaf.stem}_seed{seed}',
        config=str(leaf),
        options={
            'dataset.subset': 'base',
            'default_hooks.report.baselines': [],
            **MORE.get(method_of(leaf), {}),
        },
        seed=seed,
    )
    for seed in (1, 2, 3)
    for leaf in sorted(CONFIGS.glob('*/*_tiny_digits_16shot.py'))
    if method_of(leaf) not in TRAINED_CLASSES_ONLY
]
