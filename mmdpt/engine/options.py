"""Refuse ``--cfg-options`` that name no setting, or have the wrong type."""

import difflib
import functools
import inspect
import re
import typing

import mmengine.registry
import mmpretrain.registry
from mmengine.registry import Registry

from mmdpt.utils.meant import SETTINGS

from .option_places import FREE, PLACES

WORDS = {int: 'a whole number', float: 'a number', bool: 'True or False', str: 'text'}


def check_options(cfg, options):
    """Raise unless every option names a setting that exists.

    A setting exists if the config has it, or if the object that the config
    builds there has an argument of that name.

    Args:
        cfg (Config): The config before the options are merged in.
        options (dict): Dotted names and values, as ``--cfg-options`` gives.

    Raises:
        ValueError: Names the option and the nearest existing ones.
    """
    for option in options:
        keys, value, path = option.split('.'), cfg, ''
        for depth, key in enumerate(keys):
            if value is None and path in PLACES:
                value = {}
            if value is None or path.startswith(FREE):
                break  # nothing there yet, or anything is allowed
            known = _known(value, path, options.get(f'{path}.type'))
            if known is None:
                raise ValueError(
                    f"unknown option '{option}': {path} is {value!r} and has no settings inside"
                )
            if key not in known:
                raise ValueError(_message(option, keys[:depth], key, known))
            if depth + 1 == len(keys):
                check_value(option, value, key, options[option])
            value = value[int(key)] if isinstance(value, (list, tuple)) else value.get(key)
            path = f'{path}.{key}' if path else key


def with_suggestion(error):
    """str: The text of an error; for an unknown argument, with the nearest ones."""
    text = str(error)
    found = re.match(
        r'(?:\w+\.)*?(\w+)(?:\.__init__)?\(\) got an unexpected keyword argument '
        r"'(\w+)'",
        text,
    )
    if not found:
        return text
    near = difflib.get_close_matches(found.group(2), sorted(_arguments(found.group(1))), n=2)
    return text + (f': did you mean {" or ".join(near)}?' if near else '')


def _known(value, path, new_type=None):
    """set[str] | None: Names that may follow; None if nothing can."""
    if isinstance(value, (list, tuple)):
        return {str(i) for i in range(len(value))}
    if not hasattr(value, 'keys'):
        return None
    known = set(value.keys()) | PLACES.get(path, set())
    for built in (value.get('type'), new_type):
        if isinstance(built, str):
            known |= {'type'} | _arguments(built)
    return known


def _arguments(name):
    """set[str]: Arguments of all registered classes and functions of a name."""
    return set().union(*(signature(built)[0] for built in registered(name)))


def registered(name):
    """list: What the registries know by a name, with or without its scope."""
    name = re.sub(r'^(mmpretrain|mmengine)\.', '', name)
    # not Registry.get, which tries to import what it does not find
    return [r.module_dict[name] for r in registries() if name in r.module_dict]


@functools.cache
def registries():
    """list[Registry]: Those of MMPretrain and of MMEngine, filled."""
    found = [*vars(mmpretrain.registry).values(), *vars(mmengine.registry).values()]
    found = [registry for registry in found if isinstance(registry, Registry)]
    for registry in found:
        registry.import_from_location()
    return found


@functools.cache
def signature(built):
    """Arguments of a class or function, also those ``**kwargs`` hands to base classes.

    Returns:
        tuple: The parameters by name, and whether any other name is taken, too.
    """
    names, takes_any = {}, False
    for step in inspect.getmro(built) if inspect.isclass(built) else [built]:
        if step is object or inspect.isclass(step) and '__init__' not in vars(step):
            continue
        try:
            parameters = inspect.signature(step).parameters.values()
        except ValueError:  # written in C
            return names, True
        for p in parameters:
            if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD):
                names.setdefault(p.name, p)
        takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters)
        if not takes_any:
            break
    return names, takes_any


def check_value(option, place, key, new):
    """Raise ValueError if an option's value has another type than the setting.

    Args:
        option (str): Its dotted name.
        place (dict | list): Where in the config the setting is.
        key (str): The last part of the name.
        new (Any): The value.
    """
    if hasattr(place, 'keys') and isinstance(place.get('type'), str):
        for built in registered(place['type']):
            parameter = signature(built)[0].get(key)
            if parameter is not None and _plain_kinds(parameter.annotation):
                check_type(option, new, parameter.annotation)
                return
    old = place[int(key)] if isinstance(place, (list, tuple)) else place.get(key)
    if hasattr(old, 'keys') and 'type' in old and isinstance(new, (str, int, float)):
        raise ValueError(
            f'{option} must be None or a dict, but is {new!r}: did you mean {option}.type={new}?'
        )
    if (
        isinstance(old, bool)
        and not isinstance(new, bool)
        or isinstance(old, (int, float))
        and isinstance(new, (str, bool))
        and new != 'dynamic'
    ):
        check_type(option, new, float if type(old) is int else type(old))


def check_type(name, value, annotation):
    """Raise ValueError if text or a fraction is given where a number is expected."""
    kinds = _plain_kinds(annotation)
    words = _words(annotation)
    if kinds is None or value is None or isinstance(value, (dict, list, tuple)) or value in words:
        return
    fits = (
        isinstance(value, kinds)
        or float in kinds
        and isinstance(value, int)
        or int in kinds
        and isinstance(value, float)
        and value.is_integer()
        or bool in kinds
        and value in (0, 1)
    )
    if not fits or isinstance(value, bool) and bool not in kinds:
        wanted = ' or '.join([*sorted(WORDS[kind] for kind in kinds), *map(repr, words)])
        raise ValueError(f'{name} must be {wanted}, but is {value!r}')


def _words(annotation):
    """list: The values of a ``Literal`` that an argument may have instead of a number."""
    kinds = [kind for kind in typing.get_args(annotation) if typing.get_origin(kind)]
    return [v for k in kinds if typing.get_origin(k) is typing.Literal for v in typing.get_args(k)]


def _plain_kinds(annotation):
    """tuple | None: Of int, float, bool and str; None if others are allowed, too."""
    kinds = [
        kind
        for kind in typing.get_args(annotation) or (annotation,)
        if kind is not type(None) and typing.get_origin(kind) is not typing.Literal
    ]
    if not kinds or any(kind not in tuple(WORDS) for kind in kinds):
        return None
    return tuple(kinds)


def _message(option, place, key, known):
    meant = SETTINGS.get(key.lower())
    if meant and not place:
        return f"unknown option '{option}': did you mean {meant}?"
    near = difflib.get_close_matches(key, sorted(known), n=3, cutoff=0.5)
    dotted = ['.'.join([*place, name]) for name in near]
    if dotted:
        return f"unknown option '{option}': did you mean {' or '.join(dotted)}?"
    return (
        f"unknown option '{option}': {'.'.join(place) or 'the config'} has no '{key}', only "
        f'{", ".join(sorted(known))}'
    )
