"""One search for all methods of the built-in example, on the pool half of the digits.

    python tools/sweep.py configs/sweeps/tiny_digits_search.py --work-dir work_dirs/search

Each method has the same five trials, with 16 shots and seed 1: its leaf's
learning rate times 1/4, 1/2, 1, 2, 4; without gradient steps, the weight
(alpha) of the cache. The trials are tested on the pool's other half, the val
list (449 images), never on the test half. What chooses for itself, on the
few-shot validation images, is left out: GDA, the linear probe, LP++, ProLIP.
"""

_base_ = []  # with it, MMEngine lets a config import
from mmengine.config import Config  # noqa: E402

from mmdpt.sweep import CONFIGS  # noqa: E402

FACTORS = (0.25, 0.5, 1.0, 2.0, 4.0)
ON_VAL = {f'{part}_dataloader.dataset.split': 'val' for part in ('val', 'test')}


def searched(leaf):
    """(str, float) | None: The option that is searched, and the leaf's value."""
    cfg = Config.fromfile(leaf)
    if cfg.train_cfg.get('steps', True):
        return 'optim_wrapper.optimizer.lr', cfg.optim_wrapper.optimizer.lr
    if 'alpha' in cfg.model.head:
        return 'model.head.alpha', cfg.model.head.alpha
    return None


def trials(leaf):
    option, value = searched(leaf)
    return [
        dict(
            name=f'{leaf.stem}_x{factor:g}',
            config=str(leaf),
            options={
                option: factor * value,
                'default_hooks.report.method': f'{leaf.stem}_x{factor:g}',
                'default_hooks.report.baselines': [],
                **ON_VAL,
            },
            seed=1,
        )
        for factor in FACTORS
    ]


leaves = sorted(CONFIGS.glob('*/*_tiny_digits_16shot.py'))
runs = [run for leaf in leaves if searched(leaf) for run in trials(leaf)]
