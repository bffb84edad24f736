"""What a checkpoint needs to predict by itself, as plain Python.

A recipe is ``dict(version, model, pipeline)``: the config of the model, without
the class names (they are in the identity), and of the test transforms. A config
file is Python code, and running one from elsewhere is unsafe; a recipe only
names parts, and only those of :mod:`mmdpt.engine.recipe_schema`.
"""

from mmdpt.datasets import as_benchmark, innermost
from mmdpt.datasets.model_classes import DEFAULT_TEMPLATE, resolve_templates
from mmdpt.models.clip.config import read_config
from mmdpt.utils.text import visible

from .checkpoint import plain
from .recipe_schema import VERSION, parsed

# Of the training, or given elsewhere.
LEFT_OUT = {
    'init_cfg',
    'classes',
    'train_cfg',
    'transfer',
    'shard_classes',
    'backend_args',
    'batch_augments',
    'teacher',
    'sentences',
}


def make_recipe(cfg, sentences=None):
    """The recipe of a training.

    Args:
        cfg (Config): The runner's.
        sentences (dict, optional): What the model's file of descriptions held.

    Returns:
        dict: ``version``, ``model`` and ``pipeline``; or ``version`` and
        ``missing``, the reason why there is none, such as a part of the user's
        own. Then predicting takes the config file.
    """
    try:
        model = model_of(cfg) | ({'descriptions': sentences} if sentences else {})
        recipe = plain(dict(version=VERSION, model=model, pipeline=pipeline_of(cfg)))
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
    """Refuse a recipe that names anything but the known parts, options and values.

    Args:
        recipe (dict): From a checkpoint, perhaps from elsewhere.

    Returns:
        dict: The same in plain dicts.

    Raises:
        ValueError: Names what is not allowed.
    """
    if recipe.get('version') != VERSION:
        raise ValueError(
            f'the recipe has version {str(recipe.get("version"))[:20]!r}, this mmdpt reads '
            f'version {VERSION}: install the mmdpt that wrote it, or give the config'
        )
    if 'missing' in recipe:
        raise ValueError(visible(str(recipe['missing'])[:500]))
    return parsed(recipe)
