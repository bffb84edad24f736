"""Refuses ``--cfg-options`` that name nothing."""
import difflib
import inspect
import re

import mmpretrain.registry
from mmengine.registry import Registry
from mmengine.runner import EpochBasedTrainLoop, Runner, TestLoop, set_random_seed
from torch.utils.data import DataLoader

# Dicts of a config that are no objects: what may stand in them.
LOADER = {*inspect.signature(DataLoader).parameters} | {'num_batch_per_epoch'}
LOOP = {*inspect.signature(TestLoop).parameters} - {'runner', 'dataloader', 'evaluator'}
PLACES = {
    '': {*inspect.signature(Runner).parameters} | {
        'tta_model', 'tta_pipeline', 'runner_type', 'model_wrapper_cfg', 'sync_bn', 'compile',
        'find_unused_parameters', 'activation_checkpointing', 'efficient_conv_bn_eval'},
    'train_dataloader': LOADER,
    'val_dataloader': LOADER,
    'test_dataloader': LOADER,
    'train_cfg': {*inspect.signature(EpochBasedTrainLoop).parameters} | {'by_epoch', 'type'},
    'val_cfg': LOOP | {'type'},
    'test_cfg': LOOP | {'type'},
    'randomness': {*inspect.signature(set_random_seed).parameters},
    'auto_scale_lr': {'enable', 'base_batch_size'},
    'optim_wrapper': {'type', 'optimizer', 'constructor', 'paramwise_cfg', 'clip_grad',
                      'accumulative_counts'},
    'optim_wrapper.paramwise_cfg': {'custom_keys', 'bias_lr_mult', 'bias_decay_mult',
                                    'norm_decay_mult', 'dwconv_decay_mult', 'flat_decay_mult',
                                    'dcn_offset_lr_mult', 'bypass_duplicate'},
    'env_cfg': {'cudnn_benchmark', 'mp_cfg', 'dist_cfg', 'resource_limit'},
}
# Dicts whose keys the user makes up.
FREE = ('optim_wrapper.paramwise_cfg.custom_keys', 'model_wrapper_cfg', 'env_cfg.')


def check_options(cfg, options):
    """Raises unless every option names a setting that exists.

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
                break  # nothing there yet, or anything goes
            known = _known(value, path, options.get(f'{path}.type'))
            if known is None:
                raise ValueError(f"unknown option '{option}': {path} is "
                                 f'{value!r} and has no settings inside')
            if key not in known:
                raise ValueError(_message(option, keys[:depth], key, known))
            value = value[int(key)] if isinstance(value, (list, tuple)) else value.get(key)
            path = f'{path}.{key}' if path else key


def with_suggestion(error):
    """str: The text of an error; for an unknown argument, the nearest ones, too."""
    text = str(error)
    found = re.match(r"(?:\w+\.)*?(\w+)(?:\.__init__)?\(\) got an unexpected keyword argument "
                     r"'(\w+)'", text)
    if not found:
        return text
    near = difflib.get_close_matches(found.group(2), sorted(_arguments(found.group(1))), n=2)
    return text + (f": did you mean {' or '.join(near)}?" if near else '')


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
    found = set()
    for registry in vars(mmpretrain.registry).values():
        if isinstance(registry, Registry):
            built = registry.get(name)
            found |= _signature(built) if built else set()
    return found


def _signature(built):
    """set[str]: Arguments, also those that ``**kwargs`` hands to base classes."""
    names, classes = set(), inspect.getmro(built) if inspect.isclass(built) else [built]
    for step in classes:
        if step is object or inspect.isclass(step) and '__init__' not in vars(step):
            continue
        parameters = inspect.signature(step).parameters.values()
        names |= {p.name for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)}
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            break
    return names


def _message(option, place, key, known):
    near = difflib.get_close_matches(key, sorted(known), n=3, cutoff=0.5)
    dotted = ['.'.join([*place, name]) for name in near]
    if dotted:
        return f"unknown option '{option}': did you mean {' or '.join(dotted)}?"
    return (f"unknown option '{option}': {'.'.join(place) or 'the config'} has no '{key}', only "
            f"{', '.join(sorted(known))}")
