"""Epochs, batch sizes and the like of each method, by dataset and shots.

What the authors published goes into a config as it is; where they published
nothing, the choice is ours and the config says so.
"""

from dataclasses import dataclass, field

from ..datasets.benchmarks import get_benchmark

EVALUATION_ONLY = ('zeroshot', 'zeroshot_ensemble', 'zeroshot_ensemble80')  # nothing to train

CITED_SHOTS = (1, 2, 4, 8, 16)  # of the public benchmark
OTHER_SHOTS = (
    'none is published for these shots, so that of the next of 1, 2, 4, 8 and 16: our choice'
)
DPT_GUIDED = ' The 30 guided epochs of their 1-shot script are kept: our choice.'
TIP_ALPHA = dict(
    eurosat=2.0,
    imagenet=1.17,
    oxfordpets=1.17,
    food101=1.17,
    sun397=1.17,
    caltech101=3.0,
    stanfordcars=3.0,
    ucf101=3.0,
    dtd=2.0,
    fgvcaircraft=5.0,
    flowers102=10.0,
)
SRC_EARLY = ('imagenet', 'caltech101', 'oxfordpets', 'food101', 'ucf101', 'sun397')

SKIP_TEMPLATE = dict(
    imagenet='a photo of a {}.',
    caltech101='itap of a {}.',
    dtd='itap of a {}.',
    fgvcaircraft='a bright photo of a {}, a type of aircraft.',
    food101='a photo of the nice {}.',
    flowers102='a close-up photo of a {}.',
    oxfordpets='a bad photo of a {}, a type of pet.',
    stanfordcars='a photo of the {}, a type of car.',
    sun397='a photo of a {}.',
    ucf101='a photo of a {}, a type of sport.',
)
COPROMPT = dict(  # vectors, layers, weight
    imagenet=(4, 12, 8.0),
    caltech101=(4, 12, 4.0),
    oxfordpets=(2, 12, 0.1),
    stanfordcars=(4, 12, 4.0),
    flowers102=(4, 9, 8.0),
    food101=(4, 9, 0.5),
    fgvcaircraft=(4, 9, 2.0),
    sun397=(4, 12, 8.0),
    dtd=(2, 12, 8.0),
    eurosat=(2, 12, 0.1),
    ucf101=(4, 12, 2.0),
)


@dataclass(frozen=True)
class Settings:
    """What a composed config sets besides method, tower, dataset and shots.

    Args:
        epochs (int, optional): None: no epochs, the method takes no step but
            runs ``loop``.
        source (str): Where the number comes from.
        notes (str): Further sentences for the docstring.
        batch_size (int, optional): None: that of ``_base_/few_shot.py``, 32.
        keep_last (bool): Keep an incomplete last batch.
        model (dict): Further settings of the model.
        lines (str): Further lines of the config.
        loop (str): What ``train_cfg`` says; ``{}`` stands for the epochs.
        loader (str): Further settings of the training's loader.
        data (str): Further settings of its dataset.
    """

    epochs: int | None
    source: str
    notes: str = ''
    batch_size: int | None = None
    keep_last: bool = False
    model: dict = field(default_factory=dict)
    lines: str = ''
    loop: str = ''
    loader: str = ''
    data: str = ''


def settings(method, dataset, shots):
    """Settings: Those of a method on a dataset with this number of shots.

    Sources: the docstrings of ``configs/_base_/methods/*.py``, which name the
    authors' files.

    Raises:
        ValueError: If nothing is known about the method.
    """
    if method not in METHODS:
        raise ValueError(
            f"no epochs are known for the method '{method}': known are "
            f'{", ".join(METHODS)}. Write a config file for it'
        )
    return METHODS[method](dataset, shots)


def _coop(dataset, shots):
    if dataset == 'imagenet':
        return Settings(50, "the authors' setting for ImageNet")
    number = 50 if shots == 1 else 100 if shots <= 4 else 200
    return Settings(
        number, "the authors' setting for these shots" if shots in CITED_SHOTS else OTHER_SHOTS
    )


def _dpt(dataset, shots):
    number, source = (
        (60, "the authors' 1-shot script") if shots == 1 else (100, "the authors' default file")
    )
    notes = DPT_GUIDED if shots > 1 else ''
    if dataset == 'imagenet':
        return Settings(
            number,
            source,
            notes + ' 1 epoch of warm-up on ImageNet: their code.',
            lines='param_scheduler = dict(warmup_epochs=1)\n',
        )
    return Settings(number, source, notes)


def _vlp(dataset, shots):
    dpt = _dpt(dataset, shots)
    return Settings(
        dpt.epochs, 'none is published for VLP alone, so those of DPT', dpt.notes, lines=dpt.lines
    )


def _vpt(dataset, shots):
    return Settings(
        _dpt(dataset, shots).epochs,
        'none is published for VPT on CLIP, so those of '
        'DPT, whose visual prompts these are: our choice',
    )


def _clip_adapter(dataset, shots):
    return Settings(
        _coop(dataset, shots).epochs,
        'the authors publish none ("follow CoOp\'s command"), so those of CoOp for these shots',
    )


def _prograd(dataset, shots):
    if dataset == 'imagenet':
        return Settings(
            50, "as CoOp on ImageNet; that ProGrad's authors do the same is our assumption"
        )
    return _coop(dataset, shots)


def _kgcoop(dataset, shots):
    model = dict(templates='a photo of a {}, a type of texture.') if dataset == 'dtd' else {}
    notes = ' Batch 128: theirs.' + (' Their own template of DTD.' if model else '')
    return Settings(100, "the authors' setting for all shots", notes, 128, model=model)


def _cocoop(dataset, shots):
    return Settings(10, "the authors' setting for all shots", ' Batch 1: theirs.', 1)


def _maple(dataset, shots):
    return Settings(
        5,
        "the authors' setting (16 shots)"
        if shots == 16
        else "the authors' 16-shot setting; none is published for fewer, so the same: our choice",
        ' Batch 4: theirs.',
        4,
    )


def _promptsrc(dataset, shots):
    mean, deviation = (30, 30) if dataset in SRC_EARLY else (45, 5)
    return Settings(
        50,
        "the authors' few-shot setting",
        f' Batch 4, and a mean and deviation of '
        f'the aggregation of {mean} and {deviation}: theirs for this dataset.',
        4,
        lines=f'default_hooks = dict(\n    aggregation=dict(mean={mean}, deviation={deviation}))\n',
    )


def _cache(dataset, shots):
    keys = shots * num_classes(dataset)
    alpha = TIP_ALPHA[dataset]
    return dict(
        head=dict(num_keys=keys, alpha=alpha)
    ), f' Alpha {alpha:g}: theirs for this dataset.'


def _tip_adapter(dataset, shots):
    model, notes = _cache(dataset, shots)
    return Settings(None, '', notes, model=model, loop="_delete_=True, type='CacheTrainLoop'")


def _tip_adapter_f(dataset, shots):
    model, notes = _cache(dataset, shots)
    number = 100 if dataset == 'eurosat' else 20
    return Settings(
        number,
        "the authors' setting for this dataset",
        notes + ' Batch 256: theirs.',
        256,
        model=model,
    )


def _linear_probe(dataset, shots):
    return Settings(
        None,
        '',
        'All values are those of the public protocol.',
        loop="_delete_=True, type='CacheTrainLoop', val_begin=2",  # tested once, at the end
        lines="test_cfg = dict(type='FrozenFeatureTestLoop', cache_dir='work_dirs/features')\n",
    )


def _clip_lora(dataset, shots):
    # FewShotBatchSampler: an incomplete batch is dropped unless it is the only one
    steps = max(1, shots * num_classes(dataset) // 32)
    return Settings(
        round(500 * shots / steps),
        f"the authors' 500 steps times the shots, {steps} step{'s' if steps > 1 else ''} per epoch",
    )


def _twosfs(dataset, shots):
    steps = -(-shots * num_classes(dataset) // 32)
    return Settings(
        round(300 * shots / steps),
        f"the authors' 300 steps times the shots, {steps} step{'s' if steps > 1 else ''} per epoch",
        ' An incomplete last batch is kept: theirs.',
        keep_last=True,
    )


def num_classes(dataset):
    """int: The published number of classes of a file of ``_base_/datasets``."""
    benchmark = get_benchmark(dataset)
    return len(benchmark.classes) or benchmark.num_classes


# Lambda by dataset (configs of the authors' few-shot runs; it overrides their yaml)
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
# share of each layer's own tokens, and lambda
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
# around the context, where it is not 'X X X X {}.'; and the anchors' templates
TCP_PROMPT = dict(
    oxfordpets='X X X X {}, a type of pet.',
    flowers102='X X X X {}, a type of flower.',
    fgvcaircraft='X X X X {}, a type of aircraft.',
    food101='X X X X {}, a type of food.',
    stanfordcars='X X X X {}, a type of car',
    dtd='X X X X {} texture.',
    ucf101='a photo of a person doing {}.',
    imagenet='a photo of a {}.',
)
TCP_ANCHOR = dict(
    oxfordpets='a photo of a {}, a type of pet.',
    flowers102='a photo of a {}, a type of flower.',
    dtd='a photo of a {}, a type of texture.',
    food101='a photo of a {}, a type of food.',
    fgvcaircraft='a photo of an aircraft {}.',
    eurosat='a centered satellite photo of {}.',
    ucf101='a photo of a person doing {}.',
)


def _tcp(dataset, shots):
    number = 25 if dataset in ('imagenet', 'sun397') else 50
    model = dict(templates=TCP_ANCHOR.get(dataset, 'a photo of a {}.'))
    if dataset in TCP_PROMPT:
        model['text_prompt'] = dict(template=TCP_PROMPT[dataset])
    return Settings(
        number,
        "the authors' base-to-new setting; none is published for few-shot",
        ' Their own templates.',
        model=model,
    )


def _mmrl(dataset, shots):
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


def _mmrlpp(dataset, shots):
    mix, weight = MMRLPP[dataset]
    slow = dataset == 'imagenet'
    return Settings(
        5 if slow else 100,
        "the authors' few-shot setting",
        f' Mix {mix:g} and lambda {weight:g}: theirs for this dataset.',
        model=dict(text_prompt=dict(mix=mix), head=dict(weight=weight, fusion='always')),
        lines='optim_wrapper = dict(optimizer=dict(lr=0.001))\n' if slow else '',
    )


def _skiptuning(dataset, shots):
    mixed = ' Fewer than 4 shots: mixed batches.' if shots < 4 else ''
    template = SKIP_TEMPLATE.get(dataset)
    return Settings(
        10 if dataset in ('imagenet', 'sun397', 'food101') else 40,
        "the authors' few-shot setting",
        f' Batch 4: theirs.{mixed}' + (' Their own template.' if template else ''),
        4,
        model=dict(templates=template) if template else {},
        loop="_delete_=True, type='KeptStatesTrainLoop', max_epochs={}, val_interval=1000000",
        loader='' if mixed else "batch_sampler=dict(type='SingleClassBatchSampler'), ",
    )


def _coprompt(dataset, shots):
    tokens, layers, weight = COPROMPT[dataset]
    text = dict(num_layers=layers)
    if tokens == 4:
        text.update(init_words='a photo of a', frozen_words=None)
    return Settings(
        5 if dataset == 'food101' else 8,
        "the authors' setting; none is published for few-shot",
        f' {tokens} vectors, {layers} layers, weight {weight:g}: theirs for this dataset. Sentences'
        ' per class belong into the file that head.sentences names.',
        4,
        model=dict(
            text_prompt=text, head=dict(sentences=f'data/{dataset}_sentences.json', weight=weight)
        ),
        data=", pipeline=_base_.pop('two_views')",
    )


METHODS = dict(
    skiptuning=_skiptuning,
    coprompt=_coprompt,
    tcp=_tcp,
    mmrl=_mmrl,
    mmrlpp=_mmrlpp,
    dpt=_dpt,
    coop=_coop,
    cocoop=_cocoop,
    kgcoop=_kgcoop,
    prograd=_prograd,
    maple=_maple,
    promptsrc=_promptsrc,
    vlp=_vlp,
    vpt=_vpt,
    vpt_shallow=_vpt,
    clip_adapter=_clip_adapter,
    clip_lora=_clip_lora,
    twosfs=_twosfs,
    tip_adapter=_tip_adapter,
    tip_adapter_f=_tip_adapter_f,
    linear_probe=_linear_probe,
)
