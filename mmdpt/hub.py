"""Our configs, by name, in MMPretrain's model hub."""

import logging
from functools import lru_cache
from pathlib import Path

from mmengine.logging import print_log

INDEX = 'model-index.yml'


def model_index(package: Path = Path(__file__).resolve().parent) -> Path:
    """The file that lists all configs: of the installed package, or of the
    checkout.

    Raises:
        FileNotFoundError: If the package was installed without it.
    """
    roots = (package / '.mim', package.parent)
    for root in roots:
        if (root / INDEX).is_file():
            return root / INDEX
    raise FileNotFoundError(
        f'{INDEX} is neither in {roots[0]} nor in {roots[1]}: mmdpt is '
        'incomplete. Install it with pip, from a checkout or a wheel.'
    )


@lru_cache(maxsize=1)
def register_models() -> tuple[str, ...]:
    """Let MMPretrain find our models by the names of their configs.

    After it ``mmpretrain.list_models('dpt')`` lists them,
    ``mmpretrain.get_model(NAME, pretrained=CHECKPOINT)`` builds them, and
    MMPretrain's inferencers take their names. ``import mmdpt`` has called it
    (:func:`offer_models`); calling it again does nothing.

    Returns:
        tuple[str]: The names.

    Raises:
        FileNotFoundError: See :func:`model_index`.
        ValueError: If another package has registered one of the names.
    """
    from mmpretrain.apis.model import ModelHub

    before = set(ModelHub._models_dict)
    path = model_index()
    ModelHub.register_model_index(path, config_prefix=path.parent)
    return tuple(sorted(set(ModelHub._models_dict) - before))


def offer_models() -> None:
    """:func:`register_models` for the import, which a missing or conflicting
    name must not break: training needs no names. A warning says what it was."""
    try:
        register_models()
    except (FileNotFoundError, ValueError) as error:
        print_log(
            f"The models of mmdpt are not in MMPretrain's model hub: {error}",
            logger='current',
            level=logging.WARNING,
        )
