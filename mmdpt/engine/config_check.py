"""Refuse a config that names what does not exist, before anything is loaded."""

import difflib
import inspect
import re

from .fit_check import check_fit
from .options import PLACES, check_type, registered, registries, signature

# Names that our own configs use at the top, besides the Runner's.
HELPERS = {
    'dataset',
    'data_preprocessor',
    'image_size',
    'stages',
    'templates',
    'custom_imports',
    'train_pipeline',
    'val_pipeline',
    'test_pipeline',
    'tta_pipeline',
    'default_scope',
}
INSIDE = {'type', '_scope_', 'init_cfg'}  # may be in any built dict


def check_config(cfg):
    """Raise unless every setting of a config exists.

    Each dict with a ``type`` is compared with the arguments of what the
    registries build by that name, and each plain dict of the Runner with what
    may be in it. At the top any name is allowed (a config may have
    variables), unless it is nearly that of a setting.

    Args:
        cfg (Config): The whole config, with what the command line changed.

    Raises:
        ValueError: Names the setting and the nearest existing ones, or parts
            of the model that do not fit together.
    """
    known = {*PLACES[''], *HELPERS}
    for key in cfg:
        near = difflib.get_close_matches(key, known, n=1, cutoff=0.85)
        if key not in known and near:
            raise ValueError(
                f"the config's '{key}' is not a setting: did you mean '{near[0]}'? A "
                'variable needs a name that is less similar'
            )
        _check(cfg[key], key)
    check_fit(cfg.get('model'))


def _check(value, path):
    if isinstance(value, (list, tuple)):
        for i, item in enumerate(value):
            _check(item, f'{path}.{i}')
    elif isinstance(value, dict):
        if value.get('type') is not None:
            _check_built(value, path)
        elif path in PLACES:
            _check_names(value, path, PLACES[path], path)
        for key, item in value.items():
            if not path.endswith('custom_keys'):
                _check(item, f'{path}.{key}')


def _check_built(value, path):
    kinds = _classes(value['type'], path)
    parameters, allowed = {}, PLACES.get(re.sub(r'\.\d+$', '', path), set())
    for built in kinds:
        names, takes_any = signature(built)
        # that of the checkpoints would fail only after an epoch
        if takes_any and not getattr(built, '__name__', '').endswith('CheckpointHook'):
            return
        parameters.update(names)
    if kinds:
        name = value['type'] if isinstance(value['type'], str) else value['type'].__name__
        _check_names(value, path, {*parameters, *allowed}, name)
        for key, item in value.items():
            if key in parameters and getattr(kinds[0], '__module__', '').startswith('mmdpt'):
                check_type(f'{path}.{key}', item, parameters[key].annotation)


def _classes(kind, path):
    """list: What may be built; empty if only building can tell.

    Raises:
        ValueError: If a name is in no registry.
    """
    if not isinstance(kind, str):
        return [kind] if inspect.isclass(kind) else []
    found = registered(kind)
    if not found and '.' not in kind:
        names = {name for registry in registries() for name in registry.module_dict}
        near = difflib.get_close_matches(kind, names, n=3, cutoff=0.6)
        raise ValueError(
            f"{path}.type: '{kind}' is in no registry"
            + (
                f': did you mean {" or ".join(near)}?'
                if near
                else '; is the module that defines it in custom_imports?'
            )
        )
    return found


def _check_names(value, path, known, name):
    for key in value:
        if key in known or key in INSIDE:
            continue
        near = difflib.get_close_matches(key, sorted(known), n=2, cutoff=0.5)
        hint = (
            f'did you mean {" or ".join(near)}?' if near else f'it has {", ".join(sorted(known))}'
        )
        raise ValueError(f"unknown setting {path}.{key}: {name} has no '{key}'; {hint}")
