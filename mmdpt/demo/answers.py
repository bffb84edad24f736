"""From a photo, a model's name and class names to what the page shows."""

from collections.abc import Sequence

import numpy as np

from mmdpt.visualization import attention_maps, draw_attention, to_array, visible_image

from .inputs import Limits, parse_names, read_photo
from .models import Models

SHOWN = 10  # classes


def classify(
    models: Models, limits: Limits, photo: str | None, name: str, text: str
) -> dict[str, float]:
    """Probabilities of the most likely classes.

    Args:
        models (Models): What the page offers.
        limits (Limits): The most that is accepted.
        photo (str, optional): The uploaded file.
        name (str): The chosen model.
        text (str): Class names, one per line.

    Returns:
        dict[str, float]: At most 10, the likeliest first.

    Raises:
        ValueError: In words for the page.
    """
    classes, result = _ask(models, limits, photo, name, text)
    return _shares(classes, result['pred_scores'])


def answer(
    models: Models, limits: Limits, photo: str | None, name: str, text: str
) -> tuple[str, dict[str, float]]:
    """How sure a calibrated model is, in a sentence, and the probabilities.

    Args, Raises: As of :func:`classify`.
    """
    classes, result = _ask(models, limits, photo, name, text)
    return verdict(result), _shares(classes, result['pred_scores'])


def several(
    models: Models, limits: Limits, photos: Sequence[tuple[str, str | None]], name: str, text: str
) -> list[list[str]]:
    """A row per photo: its name, the likeliest class, its probability, whether that is sure.

    Args:
        photos (Sequence[tuple[str, str | None]]): What each is called, and its file.
        models, limits, name, text: As of :func:`classify`.

    Raises:
        ValueError: If model or names are wrong. A photo that cannot be read has its row.
    """
    parse_names(text, models.choice(name).classes, limits)
    rows = []
    for called, photo in photos:
        try:
            classes, result = _ask(models, limits, photo, name, text)
        except ValueError as error:
            rows.append([called, str(error), '', ''])
            continue
        best = int(result['pred_label'])
        sure = {True: 'not sure', False: 'yes', None: ''}[result.get('rejected')]
        share = f'{100 * float(result["pred_score"]):.1f} %'
        rows.append([called, _label(classes, best), share, sure])
    return rows


def verdict(result: dict) -> str:
    """Whether a calibrated model is sure; empty where nobody knows."""
    if 'rejected' not in result:
        return ''
    least, score = 100 * float(result['threshold']), 100 * float(result['pred_score'])
    if result['rejected']:
        return (
            f'**Not sure**: perhaps none of these. The likeliest class has {score:.0f} %, and this '
            f'model answers from {least:.0f} %.'
        )
    return f'**Sure**: {score:.0f} %, and this model answers from {least:.0f} %.'


def _ask(
    models: Models, limits: Limits, photo: str | None, name: str, text: str
) -> tuple[list[str], dict]:
    choice = models.choice(name)
    image = read_photo(photo, limits, choice.background)
    inferencer = models.get(name, parse_names(text, choice.classes, limits))
    # as inferencer(image), without the progress bar on the screen
    batch = next(inferencer.preprocess([image]))
    return inferencer.classes, inferencer.postprocess(inferencer.forward(batch), None)[0]


def _shares(classes: Sequence[str], scores: np.ndarray) -> dict[str, float]:
    first = np.argsort(-scores, kind='stable')[:SHOWN]
    return {_label(classes, i): float(scores[i]) for i in first}


def _label(classes, index: int) -> str:
    """Benchmarks have classes of the same name, which a dict would merge."""
    name, before = classes[index], list(classes[:index]).count(classes[index])
    return f'{name} ({before + 1})' if before else name


def attend(
    models: Models, limits: Limits, photo: str | None, name: str, text: str
) -> tuple[np.ndarray | None, str]:
    """The figure of :func:`mmdpt.visualization.draw_attention`.

    Args: As of :func:`classify`.

    Returns:
        tuple: RGB pixels (H, W, 3) uint8, or None, and a line about what is
        shown or why not.
    """
    choice = models.choice(name)
    image = read_photo(photo, limits, choice.background)
    inferencer = models.get(name, parse_names(text, choice.classes, limits))
    model = inferencer.model
    batch = next(inferencer.preprocess([image]))
    inputs = model.data_preprocessor(batch)['inputs']
    try:
        maps = attention_maps(model, inputs, temperature=inferencer.temperature)[0]
    except ValueError as error:  # ResNet towers, other classifiers
        return None, str(error)
    figure = draw_attention(
        visible_image(model.data_preprocessor, inputs[0]), maps, inferencer.classes
    )
    return to_array(figure), about(model)


def about(model) -> str:
    """What the figure of a model shows, in a line."""
    if model.visual_prompt is not None and 'class_ids' in model.visual_prompt.requires:
        return (
            'Class token of the last block without and with prompts; below, the class-aware '
            'prompts of the likeliest classes.'
        )
    changed = model.visual_prompt if model.visual_prompt is not None else model.tuning
    if changed is not None:
        return (
            f'{type(changed).__name__} has no class-aware prompts: the class token of the '
            'last block without and with what was learnt.'
        )
    learnt = 'Zero-shot CLIP' if model.text_prompt is None else type(model.text_prompt).__name__
    return (
        f'{learnt} leaves the image tower as it is, so there is no class-aware attention: '
        'the class token of the last block.'
    )
