"""The image normalisation that weights were trained with."""

from typing import NamedTuple

import torch.nn as nn

CLIP_MEAN = [255 * x for x in (0.48145466, 0.4578275, 0.40821073)]
CLIP_STD = [255 * x for x in (0.26862954, 0.26130258, 0.27577711)]


class Normalisation(NamedTuple):
    """Mean and standard deviation of the channels, RGB, from 0 to 255."""

    mean: list[float]
    std: list[float]


def trained_normalisation(name: str, pretrained: str | None) -> Normalisation | None:
    """Look up the normalisation of open_clip's weights.

    Args:
        name (str): The architecture.
        pretrained (str, optional): A tag; or a file, for which only what all tags of
            the architecture have in common is used.

    Returns:
        Normalisation | None: None where it is not known.
    """
    import open_clip.pretrained as zoo

    tags = zoo.list_pretrained_tags_by_model(name)
    tags = [pretrained] if pretrained in tags else tags
    found = []
    for tag in tags:
        entry = zoo.get_pretrained_cfg(name, tag)
        if not entry.get('mean') or not entry.get('std'):
            return None
        found.append(
            Normalisation([255 * x for x in entry['mean']], [255 * x for x in entry['std']])
        )
    return found[0] if found and all(f == found[0] for f in found) else None


def check_normalisation(given: dict, wanted: Normalisation | None, name: str) -> None:
    """Raise ValueError if images are not normalised as in training.

    Args:
        given (dict): Config of the data preprocessor; without ``mean`` it
            does not normalise, and nothing is checked.
        wanted (Normalisation, optional): None: nothing is checked.
        name (str): The weights, for the error message.
    """
    if wanted is None or given.get('mean') is None:
        return
    pairs = zip([*given['mean'], *given.get('std', [])], [*wanted.mean, *wanted.std])
    if any(abs(a - b) > 0.5 for a, b in pairs):
        mean, std = ([round(x, 4) for x in part] for part in wanted)
        raise ValueError(
            f'{name} was trained with images of mean {mean} and deviation '
            f'{std} (of 255), but data_preprocessor has mean '
            f'{list(given["mean"])}, std {list(given.get("std", []))}, which '
            'silently costs accuracy: set '
            f'data_preprocessor=dict(mean={mean}, std={std}, to_rgb=True).'
        )


def preprocessing(config, clip, num_classes: int):
    """A data preprocessor's config: by default the one that CLIP's weights
    want, which another normalisation is checked against; it knows the number
    of classes, which batch augmentations need. A module stays as it is."""
    if isinstance(config, nn.Module):
        return config
    usual = clip.normalisation or Normalisation(CLIP_MEAN, CLIP_STD)
    config = dict(config or dict(usual._asdict(), to_rgb=True))
    check_normalisation(
        config, clip.normalisation, f'{clip.identity["arch"]} {clip.identity["pretrained"]}'
    )
    config.setdefault('num_classes', num_classes)
    return config
