"""Which model, which weights, which transforms: from a checkpoint, a config, or neither."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import mmpretrain.datasets  # noqa: F401  registers the transforms
import mmpretrain.models  # noqa: F401
from mmengine.config import Config
from mmengine.logging import print_log
from mmpretrain.registry import MODELS

from mmdpt.datasets import Benchmark
from mmdpt.datasets.model_classes import DEFAULT_TEMPLATE
from mmdpt.engine import CheckpointError, read_checkpoint
from mmdpt.engine.entry import read_calibration, read_recipe, trained_classes
from mmdpt.engine.recipe import model_of, pipeline_of
from mmdpt.evaluation.calibration import Calibration
from mmdpt.models.clip.config import read_config
from mmdpt.models.clip.weights import is_tag
from mmdpt.paths import find_config

from .frozen_text import check_templates, set_descriptions


class Plan(NamedTuple):
    """Everything that a model for prediction is built from."""

    model: dict
    pipeline: list[dict]
    classes: list[str] | None
    state_dict: dict | None = None  # None: nothing is learnt
    source: str = 'zero-shot'
    from_file: bool = False  # the model is what a checkpoint says
    calibration: Calibration | None = None  # holds for its classes and templates only


def plan_of_checkpoint(path: str, config: str | None = None) -> Plan:
    """The plan that a checkpoint carries, or its config file.

    Args:
        path (str): A checkpoint that training wrote; no code in it is run.
        config (str, optional): Config file of the training, which is run, as
            all configs are Python. Needed for checkpoints without a recipe.

    Raises:
        FileNotFoundError: If a file is missing.
        CheckpointError: If the checkpoint is damaged, or carries code, or no
            recipe while there is no ``config``.
    """
    checkpoint = read_checkpoint(path)
    meta = checkpoint['meta']
    model, pipeline = read_recipe(meta, path) if config is None else _read_config_file(config)
    return Plan(
        model,
        pipeline,
        trained_classes(meta),
        checkpoint['state_dict'],
        str(path),
        from_file=config is None,
        calibration=read_calibration(meta),
    )


def _read_config_file(path: str):
    cfg = Config.fromfile(find_config(path))
    if 'arch' in cfg.model and 'classes' in cfg.model:
        from mmdpt.datasets import share_dataset

        return model_of(share_dataset(cfg)), pipeline_of(cfg)
    model = cfg.model.to_dict()
    model.setdefault('data_preprocessor', cfg.get('data_preprocessor'))
    return model, pipeline_of(cfg)


def zero_shot_plan(
    classes: Sequence[str], templates: Sequence[str] | None, arch: str, pretrained: str | None
) -> Plan:
    """Frozen CLIP with class names; the transforms are CLIP's."""
    size = read_config(arch)[1]['vision_cfg'].get('image_size', 224)
    size = size[0] if isinstance(size, (list, tuple)) else size
    pipeline = [
        dict(type='LoadPILImage'),
        dict(
            type='ResizeEdge', scale=size, edge='short', interpolation='bicubic', backend='pillow'
        ),
        dict(type='CenterCrop', crop_size=size),
        dict(type='PackInputs'),
    ]
    model = dict(
        type='PromptedCLIP',
        arch=arch,
        pretrained=pretrained,
        templates=list(templates or [DEFAULT_TEMPLATE]),
    )
    return Plan(model, pipeline, list(classes))


def build(
    plan: Plan,
    classes: Sequence[str] | None = None,
    templates: Sequence[str] | None = None,
    pretrained: str | None = None,
    descriptions: str | None = None,
):
    """Build and load the model of a plan, perhaps for other classes.

    Args:
        plan (Plan): See above.
        classes (Sequence[str], optional): Other class names.
        templates (Sequence[str], optional): Other hand-written prompts.
        pretrained (str, optional): Where CLIP's weights are now.
        descriptions (str, optional): Other file of sentences per class.

    Returns:
        nn.Module: In evaluation mode, on the CPU.

    Raises:
        ValueError: If the method cannot take other classes or templates, or
            the checkpoint does not fit.
        FileNotFoundError: If CLIP's weights are missing.
    """
    model = dict(plan.model)
    if 'arch' not in model:
        return _build_other(plan, classes, templates, pretrained, descriptions)
    if plan.classes is None:
        raise CheckpointError(
            f'{plan.source} does not name its classes: choose a checkpoint that mmdpt wrote'
        )
    names = list(plan.classes if classes is None else classes)
    set_descriptions(model, names, descriptions, plan.source)
    if templates is not None:
        check_templates(model, templates)
        model['templates'] = list(templates)
    if pretrained is not None:
        model['pretrained'] = pretrained
    elif plan.from_file:
        _check_tag(model, plan.source)
    if names != plan.classes or plan.state_dict is None:
        _check_count(names)
        model = _with_few_classes(dict(model, transfer=True), len(names))
        source: Any = names
    else:  # as in the training, where a benchmark may name two classes alike
        source = dict(benchmark=Benchmark('The checkpoint', tuple(names), ()))
    built = _build_model(dict(model, classes=source), plan.source)
    if plan.state_dict is not None:
        built.load_state_dict(plan.state_dict)
    return built.eval()


def _check_tag(model: dict, source: str) -> None:
    """A checkpoint may name weights that open_clip knows; a file, its reader names."""
    named = model.get('pretrained')
    if named is None:
        raise CheckpointError(
            f"{source} needs CLIP's weights: its own were random, and no file holds them. "
            'Here: --pretrained FILE, or --config'
        )
    name, _ = read_config(model['arch'])
    if not is_tag(name, named) or Path(named).is_file():
        raise CheckpointError(
            f"{source} needs CLIP's weights: it was trained on the file {Path(named).name!r}, and "
            'places that a checkpoint names are never opened. Here: --pretrained FILE, or --config'
        )


def _build_model(model: dict, source: str):
    try:
        return MODELS.build(model)
    except (FileNotFoundError, ConnectionError) as error:
        raise type(error)(
            f"{source} needs CLIP's weights: {error} Here: --pretrained FILE"
        ) from error


def _build_other(plan: Plan, classes, templates, pretrained, descriptions):
    """One of MMPretrain's own classifiers, whose outputs are fixed."""
    given = dict(
        classes=classes, templates=templates, pretrained=pretrained, descriptions=descriptions
    )
    for name, value in given.items():
        if value is not None:
            raise ValueError(
                f'{plan.source} is a {plan.model.get("type")}, which reads no class '
                f'names: --{name} has no meaning for it'
            )
    built = MODELS.build(plan.model)
    try:
        built.load_state_dict(plan.state_dict)
    except RuntimeError as error:
        raise ValueError(
            f'{plan.source} does not fit the config: {" ".join(str(error).split())[:300]}'
        ) from error
    built.classes = plan.classes
    return built.eval()


def _check_count(names: Sequence[str]) -> None:
    if len(names) < 2:
        raise ValueError(
            f'--classes names {len(names)} class(es), {names}: at least 2 are needed, '
            'as in "cat,dog"'
        )


def _with_few_classes(model: dict, count: int) -> dict:
    """Limit the class-aware prompts to the number of classes."""
    visual = model.get('visual_prompt') or {}
    top_k = visual.get('top_k', 10)
    if visual.get('type') != 'CAVPT' or top_k == 'all' or top_k <= count:
        return model
    print_log(
        f'Class-aware prompts for all {count} classes, instead of the '
        f'{top_k} most likely ones as in the training.',
        logger='current',
    )
    return dict(model, visual_prompt=dict(visual, top_k='all'))
