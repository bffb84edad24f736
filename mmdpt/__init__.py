"""Few-shot prompt tuning of CLIP, as a plugin of MMPretrain.

Importing this package registers its models, datasets, hooks and schedulers in
MMPretrain's own registries, so a config needs only
``custom_imports = dict(imports=['mmdpt'], allow_failed_imports=False)``. Its
configs are in MMPretrain's model hub by their names, too.
"""

import warnings

from .utils.stack import check_stack
from .version import __version__

# Neither is a requirement of the package: each fills the same import names, and the choice
# is the user's.
check_stack()

with warnings.catch_warnings():
    # mmcv-lite, about operators that nothing here uses
    warnings.filterwarnings('ignore', 'Fail to import ``MultiScaleDeformableAttention``')
    from . import datasets, engine, evaluation, models, visualization
from .hub import offer_models, register_models  # noqa: E402

offer_models()
LATE = {'fit': 'fitting.api', 'load': 'fitting.classifier'}  # imported where they are used


def __getattr__(name: str) -> object:
    """``mmdpt.fit`` and ``mmdpt.load``."""
    if name not in LATE:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    from importlib import import_module

    return getattr(import_module(f'.{LATE[name]}', __name__), name)


__all__ = [
    '__version__',
    'datasets',
    'engine',
    'evaluation',
    'fit',
    'load',
    'models',
    'register_models',
    'visualization',
]
