"""MMRL and MMRL++."""

from .settings import Settings

MMRL_WEIGHT = dict(
    stanfordcars=7.0,
    fgvcaircraft=6.0,
    sun397=6.0,
    dtd=6.0,
    food101=5.0,
    flowers102=4.0,
    ucf101=3.0,
    imagenet=0.5,
    caltech101=0.5,
    oxfordpets=0.2,
    eurosat=0.01,
)


MMRLPP = dict(
    imagenet=(0.9, 0.2),
    fgvcaircraft=(0.9, 2.0),
    ucf101=(0.9, 3.0),
    dtd=(0.9, 7.0),
    oxfordpets=(0.7, 0.01),
    stanfordcars=(0.7, 6.0),
    caltech101=(0.6, 3.0),
    sun397=(0.5, 3.0),
    flowers102=(0.4, 7.0),
    eurosat=(0.2, 0.01),
    food101=(0.1, 1.0),
)


def _mmrl(dataset: str, shots: int) -> Settings:
    weight = MMRL_WEIGHT[dataset]
    model = dict(head=dict(weight=weight, fusion='always'))
    if dataset == 'eurosat':
        model['text_prompt'] = dict(space_dim=2048)
    return Settings(
        5 if dataset == 'imagenet' else 50,
        "the authors' few-shot setting",
        f' Lambda {weight:g}: theirs for this dataset.',
        model=model,
    )


def _mmrlpp(dataset: str, shots: int) -> Settings:
    mix, weight = MMRLPP[dataset]
    slow = dataset == 'imagenet'
    return Settings(
        5 if slow else 100,
        "the authors' few-shot setting",
        f' Mix {mix:g} and lambda {weight:g}: theirs for this dataset.',
        model=dict(text_prompt=dict(mix=mix), head=dict(weight=weight, fusion='always')),
        lines='optim_wrapper = dict(optimizer=dict(lr=0.001))\n' if slow else '',
    )


METHODS = dict(mmrl=_mmrl, mmrlpp=_mmrlpp)
