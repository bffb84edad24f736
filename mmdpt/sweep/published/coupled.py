"""Prompts in both towers that belong together."""

from .settings import Settings


def _maple(dataset: str, shots: int) -> Settings:
    return Settings(
        5,
        "the authors' setting (16 shots)"
        if shots == 16
        else "the authors' 16-shot setting; none is published for fewer, so the same: our choice",
        ' Batch 4: theirs.',
        4,
    )


SRC_EARLY = ('imagenet', 'caltech101', 'oxfordpets', 'food101', 'ucf101', 'sun397')


def _promptsrc(dataset: str, shots: int) -> Settings:
    mean, deviation = (30, 30) if dataset in SRC_EARLY else (45, 5)
    return Settings(
        50,
        "the authors' few-shot setting",
        f' Batch 4, and a mean and deviation of '
        f'the aggregation of {mean} and {deviation}: theirs for this dataset.',
        4,
        lines=f'default_hooks = dict(\n    aggregation=dict(mean={mean}, deviation={deviation}))\n',
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


def _coprompt(dataset: str, shots: int) -> Settings:
    tokens, layers, weight = COPROMPT[dataset]
    text: dict = dict(num_layers=layers)
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


METHODS = dict(coprompt=_coprompt, maple=_maple, promptsrc=_promptsrc)
