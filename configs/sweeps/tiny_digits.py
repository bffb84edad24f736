"""All methods on the built-in example: 1, 2, 4, 8, 16 shots, seeds 1 to 3.

    python tools/sweep.py configs/sweeps/tiny_digits.py --work-dir work_dirs/tiny_digits

The 16-shot config file of a method is the base. With fewer shots an epoch has
fewer steps (batch 32, 10 classes: 5 with 16 shots, 2 with 8, 1 with 4, 2 or 1),
so all that counts in epochs is multiplied by 2 for 8 shots and by 4 for 4, 2
and 1 shots: see mmdpt.sweep.fewer_shots. DPT's own files say the same. The
baselines (linear probe, raw pixels) are measured in DPT's runs only: once a
draw.
"""

_base_ = []  # with it, MMEngine lets a config import
from mmdpt.sweep import CONFIGS, fewer_shots  # noqa: E402

FACTORS = {16: 1, 8: 2, 4: 4, 2: 4, 1: 4}
SEEDS = (1, 2, 3)
LEAVES = sorted(CONFIGS.glob('*/*_tiny_digits_16shot.py'))


def method_of(leaf):
    return leaf.stem.removesuffix('_tiny_digits_16shot')


def training(leaf, shots, seed):
    """One run; DPT has a config file for each number of shots."""
    name = leaf.stem.replace('16shot', f'{shots}shot')
    own = method_of(leaf) == 'dpt'
    return dict(
        name=f'{name}_seed{seed}',
        config=str(leaf.with_name(f'{name}.py') if own else leaf),
        options={} if own or shots == 16 else fewer_shots(str(leaf), shots, FACTORS[shots]),
        seed=seed,
    )


runs = [
    dict(name=leaf.stem, config=str(leaf), test=True)
    for leaf in sorted(CONFIGS.glob('zeroshot/*_tiny_digits.py'))
] + [training(leaf, shots, seed) for seed in SEEDS for shots in FACTORS for leaf in LEAVES]
