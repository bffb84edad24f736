"""Epochs, batch sizes and the like of each method, by dataset and shots.

What the authors published goes into a config as it is; where they published
nothing, the choice is ours and the config says so. One module per family of
methods, each with its functions in ``METHODS``.
"""

from . import coupled, features, mmrl, own, prompts, tcp, tuning, unlabelled
from .settings import Settings

EVALUATION_ONLY = ('zeroshot', 'zeroshot_ensemble', 'zeroshot_ensemble80')  # nothing to train
UNLABELLED = tuple(unlabelled.METHODS)
WITHOUT_SHOTS = (*EVALUATION_ONLY, *UNLABELLED)

OWN = 'custom'  # the file of _base_/datasets for your own photos

FAMILIES = (prompts, coupled, tuning, tcp, mmrl, features)
METHODS = {name: found for family in FAMILIES for name, found in family.METHODS.items()}


def settings(method: str, dataset: str, shots: int | None) -> Settings:
    """Those of a method on a dataset with this number of shots; None, of your own photos: all.

    Sources: the docstrings of ``configs/_base_/methods/*.py``, which name the
    authors' files.

    Raises:
        ValueError: If nothing is known about the method.
    """
    if method in UNLABELLED:
        return unlabelled.METHODS[method](dataset)
    if method not in METHODS:
        raise ValueError(
            f"no epochs are known for the method '{method}': known are "
            f'{", ".join(METHODS)}. Write a config file for it'
        )
    if dataset == OWN:
        return own.own(METHODS[method](own.NEAREST, shots or own.SHOTS), method)
    return METHODS[method](dataset, shots)
