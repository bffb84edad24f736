"""Few-shot prompt tuning of CLIP, as a plugin of MMPretrain.

Importing this package registers its models, datasets, hooks and schedulers in
MMPretrain's own registries, so a config needs only
``custom_imports = dict(imports=['mmdpt'], allow_failed_imports=False)``. Its
configs are in MMPretrain's model hub by their names, too.
"""

import warnings

from .version import __version__

try:
    import mmcv  # noqa: F401
except ModuleNotFoundError as error:
    # mmcv and mmcv-lite fill the same import name and overwrite each other,
    # so the package cannot require either: the choice is the user's.
    if error.name != 'mmcv':
        raise
    raise ModuleNotFoundError(
        "mmdpt needs MMCV, and no 'mmcv' is installed. Install the one "
        "without compiled operators: pip install 'mmdpt[mmcv-lite]' (from a "
        "checkout: pip install -e '.[mmcv-lite]'), or the full one: "
        "pip install 'mmcv>=2.0.0,<2.4.0'.",
        name='mmcv',
    ) from error

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
