"""One search for all methods of the built-in example, on the pool half of the digits.

    python tools/sweep.py configs/sweeps/tiny_digits_search.py --work-dir work_dirs/search

Each method has the same five trials, with 16 shots and seed 1: a first learning
rate times 1/4, 1/2, 1, 2, 4; without gradient steps, the weight (alpha) of the
cache. The trials are tested on the pool's other half, the val
list (449 images), never on the test half. What chooses for itself, on the
few-shot validation images, is left out: GDA, the linear probe, LP++, ProLIP.

Where the best of the five is the largest, three more follow: times 16, 64, 256;
the smallest was best nowhere. Of equal trials the factor nearest to 1 wins, then
the smaller one. The leaves hold what won; ``START`` what the factors are of.
"""

_base_ = []  # with it, MMEngine lets a config import
from mmdpt.sweep import CONFIGS  # noqa: E402

FACTORS = (0.25, 0.5, 1.0, 2.0, 4.0)
WIDER = (
    'ape',
    'clap',  # zero-shot's figure in all five
    'clip_lora',
    'crossmodal_lp',
    'kgcoop',
    'mmrlpp',
    'tip_adapter',
    'twosfs',
    'zs_lp',
)
ON_VAL = {f'{part}_dataloader.dataset.split': 'val' for part in ('val', 'test')}


START = dict(  # the factors' unit
    ape=5.0,
    clap=0.1,
    clip_adapter=1e-2,
    clip_lora=5e-3,
    cocoop=3e-2,
    coop=1e-2,
    coprompt=1e-2,
    crossmodal_lp=0.1,
    dpt=1e-2,
    kgcoop=3e-2,
    maple=1e-2,
    mmrl=3e-3,
    mmrlpp=3e-3,
    prograd=1e-2,
    promptsrc=1e-2,
    skiptuning=5e-3,
    tcp=1e-2,
    tip_adapter=5.0,
    tip_adapter_f=1e-2,
    twosfs=5e-3,
    vlp=1e-2,
    vpt=3e-3,
    vpt_linear=1e-2,
    vpt_shallow=1e-2,
    zs_lp=0.1,
)
WITHOUT_STEPS = ('ape', 'tip_adapter')


def factors(method):
    return (*FACTORS, 16.0, 64.0, 256.0) if method in WIDER else FACTORS


def trials(leaf):
    method = leaf.stem.removesuffix('_tiny_digits_16shot')
    option = 'model.head.alpha' if method in WITHOUT_STEPS else 'optim_wrapper.optimizer.lr'
    return [
        dict(
            name=f'{leaf.stem}_x{factor:g}',
            config=str(leaf),
            options={
                option: factor * START[method],
                'default_hooks.report.method': f'{leaf.stem}_x{factor:g}',
                'default_hooks.report.baselines': [],
                **ON_VAL,
            },
            seed=1,
        )
        for factor in factors(method)
    ]


leaves = [next(CONFIGS.glob(f'*/{method}_tiny_digits_16shot.py')) for method in START]
runs = [run for leaf in leaves for run in trials(leaf)]
