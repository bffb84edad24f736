"""What learns in the towers themselves."""

from .settings import Settings, num_classes

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


def _clip_lora(dataset: str, shots: int) -> Settings:
    # FewShotBatchSampler: an incomplete batch is dropped unless it is the only one
    steps = max(1, shots * num_classes(dataset) // 32)
    return Settings(
        round(500 * shots / steps),
        f"the authors' 500 steps times the shots, {steps} step{'s' if steps > 1 else ''} per epoch",
    )


def _twosfs(dataset: str, shots: int) -> Settings:
    steps = -(-shots * num_classes(dataset) // 32)
    return Settings(
        round(300 * shots / steps),
        f"the authors' 300 steps times the shots, {steps} step{'s' if steps > 1 else ''} per epoch",
        ' An incomplete last batch is kept: theirs.',
        keep_last=True,
    )


def _skiptuning(dataset: str, shots: int) -> Settings:
    mixed = ' Fewer than 4 shots: mixed batches.' if shots < 4 else ''
    template = SKIP_TEMPLATE.get(dataset)
    return Settings(
        10 if dataset in ('imagenet', 'sun397', 'food101') else 40,
        "the authors' few-shot setting",
        f' Batch 4: theirs.{mixed}' + (' Their own template.' if template else ''),
        4,
        model=dict(templates=template) if template else {},
        loop="_delete_=True, type='KeptStatesTrainLoop', val_interval=1000000",
        loader='' if mixed else "batch_sampler=dict(type='SingleClassBatchSampler'), ",
    )


METHODS = dict(skiptuning=_skiptuning, clip_lora=_clip_lora, twosfs=_twosfs)
