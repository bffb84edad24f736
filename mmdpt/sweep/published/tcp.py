"""TCP."""

from .settings import Settings

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


def _tcp(dataset: str, shots: int) -> Settings:
    number = 25 if dataset in ('imagenet', 'sun397') else 50
    model: dict = dict(templates=TCP_ANCHOR.get(dataset, 'a photo of a {}.'))
    if dataset in TCP_PROMPT:
        model['text_prompt'] = dict(template=TCP_PROMPT[dataset])
    return Settings(
        number,
        "the authors' base-to-new setting; none is published for few-shot",
        ' Their own templates.',
        model=model,
    )


METHODS = dict(tcp=_tcp)
