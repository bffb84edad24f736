"""What learns from kept features."""

from dataclasses import replace

from .prompts import coop
from .settings import Settings, num_classes

KEPT_LOOP = "_base_.pop('loop')"  # the base config's, over kept features


KEPT_TEST = "test_cfg = dict(type='FrozenFeatureTestLoop', cache_dir=True)\n"


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


def _clip_adapter(dataset: str, shots: int) -> Settings:
    return Settings(
        coop(dataset, shots).epochs,
        'the authors publish none ("follow CoOp\'s command"), so those of CoOp for these shots',
    )


def _cache(dataset: str, shots: int) -> tuple[dict, str]:
    keys = shots * num_classes(dataset)
    alpha = TIP_ALPHA[dataset]
    return dict(
        head=dict(num_keys=keys, alpha=alpha)
    ), f' Alpha {alpha:g}: theirs for this dataset.'


def _tip_adapter(dataset: str, shots: int) -> Settings:
    model, notes = _cache(dataset, shots)
    return Settings(None, '', notes, model=model, loop=KEPT_LOOP)


def _tip_adapter_f(dataset: str, shots: int) -> Settings:
    model, notes = _cache(dataset, shots)
    number = 100 if dataset == 'eurosat' else 20
    return Settings(
        number,
        "the authors' setting for this dataset",
        notes + ' Batch 256: theirs.',
        256,
        model=model,
        loop=KEPT_LOOP,
    )


def _linear_probe(dataset: str, shots: int) -> Settings:
    return Settings(
        None, '', 'All values are those of the public protocol.', lines=KEPT_TEST, loop=KEPT_LOOP
    )


def _kept(dataset: str, shots: int) -> Settings:
    return Settings(
        None, '', 'All values are those of the base config.', lines=KEPT_TEST, loop=KEPT_LOOP
    )


def _clap(dataset: str, shots: int) -> Settings:
    return Settings(
        300, "the authors' setting", ' Batch 256: theirs.', 256, lines=KEPT_TEST, loop=KEPT_LOOP
    )


def _ape(dataset: str, shots: int) -> Settings:
    head = dict(num_keys=shots * num_classes(dataset))
    return replace(_kept(dataset, shots), model=dict(head=head))


METHODS = dict(
    clip_adapter=_clip_adapter,
    tip_adapter=_tip_adapter,
    tip_adapter_f=_tip_adapter_f,
    linear_probe=_linear_probe,
    gda=_kept,
    lppp=_kept,
    prolip=_kept,
    ape=_ape,
    zs_lp=_clap,
    clap=_clap,
    crossmodal_lp=_clap,
)
