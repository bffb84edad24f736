"""What a checkpoint needs to predict by itself, as plain Python.

A recipe is ``dict(version, model, pipeline)``: the config of the model, without
the class names (they are in the identity), and of the test transforms. A config
file is Python code, and running one from elsewhere is unsafe; a recipe only
names parts, and only those that :func:`check_recipe` knows.
"""

from mmpretrain.registry import MODELS, TRANSFORMS

from mmdpt.datasets import as_benchmark, innermost
from mmdpt.datasets.model_classes import DEFAULT_TEMPLATE, resolve_templates
from mmdpt.models.clip.config import read_config

from .checkpoint import plain

VERSION = 1
# Where a model's parts may come from. A registry would import any dotted name.
SOURCES = (
    'mmdpt.models.',
    'mmpretrain.models.losses.',
    'mmpretrain.models.utils.data_preprocessor',
)
# Transforms that only look at the pixels, by name.
STEPS = {
    'LoadPILImage',
    'Resize',
    'ResizeEdge',
    'CenterCrop',
    'Pad',
    'NumpyToPIL',
    'PILToNumpy',
    'PackInputs',
}
# Of the training, or given elsewhere.
LEFT_OUT = {'init_cfg', 'classes', 'train_cfg', 'transfer', 'shard_classes', 'backend_args'}


def make_recipe(cfg):
    """The recipe of a training.

    Args:
        cfg (Config): The runner's.

    Returns:
        dict: ``version``, ``model`` and ``pipeline``; or ``version`` and
        ``missing``, the reason why there is none, such as a part of the user's
        own. Then predicting takes the config file.
    """
    try:
        recipe = plain(dict(version=VERSION, model=model_of(cfg), pipeline=pipeline_of(cfg)))
        check_recipe(recipe)
    except (ValueError, TypeError, OSError) as error:
        return dict(version=VERSION, missing=str(error))
    return recipe


def model_of(cfg):
    """dict: Config of the model, to be built without the training data.

    Raises:
        ValueError: If the config has no model, or one that takes no class names.
    """
    model = cfg.get('model')
    if not isinstance(model, dict) or not {'arch', 'classes'} <= set(model):
        kind = model.get('type') if isinstance(model, dict) else 'what the config has'
        raise ValueError(f'{kind} is not a PromptedCLIP')
    found = _pruned(model)
    found['templates'] = templates_of(model)
    found['data_preprocessor'] = (
        _pruned(model.get('data_preprocessor') or cfg.get('data_preprocessor') or {}) or None
    )
    if str(model['arch']).endswith('.json'):  # elsewhere there is no such file
        found['arch'] = read_config(model['arch'])[1]
    return found


def templates_of(model):
    """list[str]: Templates of a model's config, without looking at the data."""
    classes = model['classes']
    if isinstance(classes, dict):
        classes = classes['benchmark']
    named = isinstance(classes, (str, dict))
    default = as_benchmark(classes).templates if named else DEFAULT_TEMPLATE
    return resolve_templates(model.get('templates'), default)


def pipeline_of(cfg):
    """list[dict]: Configs of the test transforms.

    Raises:
        ValueError: If the config has none.
    """
    for name in ('test_dataloader', 'val_dataloader'):
        for dataset in innermost((cfg.get(name) or {}).get('dataset')):
            if dataset.get('pipeline'):
                return [_pruned(step) for step in dataset['pipeline']]
    raise ValueError('the config has no test_dataloader.dataset.pipeline')


def _pruned(value):
    """A copy in plain dicts and lists, without what predicting does not need."""
    if isinstance(value, dict):
        value = {k: _pruned(v) for k, v in value.items() if k not in LEFT_OUT}
        if isinstance(value.get('type'), str):
            value['type'] = value['type'].removeprefix('mmpretrain.')
        return value
    if isinstance(value, (list, tuple)):
        return [_pruned(item) for item in value]
    return value


def check_recipe(recipe):
    """Refuse a recipe that names anything but the known parts.

    Args:
        recipe (dict): From a checkpoint, perhaps from elsewhere.

    Raises:
        ValueError: Names what is not allowed.
    """
    if recipe.get('version') != VERSION:
        raise ValueError(
            f'the recipe has version {recipe.get("version")!r}, this mmdpt reads '
            f'version {VERSION}: install the mmdpt that wrote it, or give the config'
        )
    if 'missing' in recipe:
        raise ValueError(recipe['missing'])
    model, pipeline = recipe.get('model'), recipe.get('pipeline')
    if (
        not isinstance(model, dict)
        or model.get('type') != 'PromptedCLIP'
        or not isinstance(pipeline, list)
    ):
        raise ValueError('the recipe is not one of a PromptedCLIP')
    _check_parts(model, _is_model)
    for step in pipeline:
        if not isinstance(step, dict) or 'type' not in step:
            raise ValueError(f'the recipe has the transform {step!r}, which names no type')
        _check_parts(step, _is_step)


def _check_parts(value, known):
    if isinstance(value, dict):
        if 'type' in value and not known(value['type']):
            raise ValueError(
                f'{value["type"]!r} is not one of the parts that a checkpoint may name'
            )
        unwanted = LEFT_OUT & set(value)
        if unwanted:
            raise ValueError(f'a recipe must not set {sorted(unwanted)[0]}')
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        for item in value:
            _check_parts(item, known)


def _is_model(name):
    built = MODELS.module_dict.get(name) if isinstance(name, str) else None
    return built is not None and built.__module__.startswith(SOURCES)


def _is_step(name):
    return isinstance(name, str) and name in STEPS and name in TRANSFORMS.module_dict
