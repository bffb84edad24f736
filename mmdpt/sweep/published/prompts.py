"""Text prompts, visual prompts, and both (DPT)."""

from .settings import CITED_SHOTS, OTHER_SHOTS, Settings


def coop(dataset: str, shots: int) -> Settings:
    if dataset == 'imagenet':
        return Settings(50, "the authors' setting for ImageNet")
    number = 50 if shots == 1 else 100 if shots <= 4 else 200
    return Settings(
        number, "the authors' setting for these shots" if shots in CITED_SHOTS else OTHER_SHOTS
    )


DPT_GUIDED = ' The 30 guided epochs of their 1-shot script are kept: our choice.'


def _dpt(dataset: str, shots: int) -> Settings:
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


def _vlp(dataset: str, shots: int) -> Settings:
    dpt = _dpt(dataset, shots)
    return Settings(
        dpt.epochs, 'none is published for VLP alone, so those of DPT', dpt.notes, lines=dpt.lines
    )


def _vpt(dataset: str, shots: int) -> Settings:
    return Settings(
        _dpt(dataset, shots).epochs,
        'none is published for VPT on CLIP, so those of '
        'DPT, whose visual prompts these are: our choice',
    )


def _prograd(dataset: str, shots: int) -> Settings:
    if dataset == 'imagenet':
        return Settings(
            50, "as CoOp on ImageNet; that ProGrad's authors do the same is our assumption"
        )
    return coop(dataset, shots)


def _kgcoop(dataset: str, shots: int) -> Settings:
    model = dict(templates='a photo of a {}, a type of texture.') if dataset == 'dtd' else {}
    notes = ' Batch 128: theirs.' + (' Their own template of DTD.' if model else '')
    return Settings(100, "the authors' setting for all shots", notes, 128, model=model)


def _cocoop(dataset: str, shots: int) -> Settings:
    return Settings(10, "the authors' setting for all shots", ' Batch 1: theirs.', 1)


METHODS = dict(
    dpt=_dpt,
    coop=coop,
    cocoop=_cocoop,
    kgcoop=_kgcoop,
    prograd=_prograd,
    vlp=_vlp,
    vpt=_vpt,
    vpt_shallow=_vpt,
)
