"""Templates and sentences of a model for prediction, where it reads any."""

from collections.abc import Sequence

from mmpretrain.registry import MODELS

from mmdpt.datasets.descriptions import check_template


def set_descriptions(model: dict, names: list[str], file: str | None, source: str) -> None:
    """Give a model the sentences of its classes: from a file, else those of the training.

    Args:
        model (dict): Config of the model; is changed.
        names (list[str]): Its classes.
        file (str, optional): The file.
        source (str): What carries the config, for messages.

    Raises:
        ValueError: If nothing reads them, or those of the training lack a class.
    """
    carried = model.get('descriptions')
    if file is not None:
        _check_of_use(model, '--descriptions', 'description')
        model['descriptions'] = file
    elif isinstance(carried, dict) and not _reads_frozen_text(model):
        del model['descriptions']  # they served the training
    elif isinstance(carried, dict):
        strange = [name for name in names if name not in carried]
        if strange:
            raise ValueError(
                f'{source} carries descriptions of its own classes, but none of {strange[0]!r}: '
                'give --descriptions FILE with sentences of each class'
            )
        model['descriptions'] = {name: carried[name] for name in names}


def _reads_frozen_text(model: dict) -> bool:
    """Whether predicting takes features of templates or sentences."""
    if model.get('text_prompt') is None:
        return True
    prompts = filter(None, (model.get(name) for name in ('text_prompt', 'visual_prompt')))
    return any(MODELS.get(p['type']).requires & {'frozen_text', 'class_ids'} for p in prompts)


def _check_of_use(model: dict, option: str, what: str) -> None:
    if not _reads_frozen_text(model):
        raise ValueError(
            f'{option} would change nothing: the {model["text_prompt"]["type"]} '
            f'prompts were learnt, and no {what} is used with them'
        )


def check_templates(model: dict, templates: Sequence[str]) -> None:
    """Raise ValueError if templates are mangled, or nothing reads them."""
    for template in templates:
        check_template(template)
    _check_of_use(model, '--templates', 'template')
    if model.get('descriptions'):
        raise ValueError(
            '--templates would change nothing: sentences describe the classes; give others with '
            '--descriptions FILE'
        )
