"""Refuse models whose backbone, neck and head were not made for each other."""

import inspect

from mmpretrain.registry import MODELS

from mmdpt.models import PromptedCLIP, PromptedCLIPBackbone
from mmdpt.models.heads.base import SimilarityHead

POOLING = ('GlobalAveragePooling', 'GeneralizedMeanPooling')
VECTORS = ('cls_token', 'avg_featmap')  # values of MMPretrain's out_type


def check_fit(model):
    """Raise unless the parts of a classifier's config fit together.

    MMPretrain builds any backbone, neck and head side by side; some fail in
    the first batch only, with an error that names neither.

    Args:
        model (dict | None): Config of the model. What is not a config of a
            classifier passes.

    Raises:
        ValueError: Names the part and what to use in its place.
    """
    while isinstance(model, dict) and 'module' in model:  # test-time augmentation
        model = model['module']
    kind = _class_of(model)
    if kind is None or issubclass(kind, PromptedCLIP):
        return  # which checks its head itself
    head = _class_of(model.get('head'))
    if head is not None and issubclass(head, SimilarityHead):
        raise ValueError(
            f'model.head: {head.__name__} compares images with text, and {kind.__name__} has no '
            "text: use it in PromptedCLIP (model.type='PromptedCLIP'), or LinearClsHead here"
        )
    neck, backbone = model.get('neck'), model.get('backbone')
    if isinstance(neck, dict) and _plain_name(neck) in POOLING and _gives_vector(backbone):
        raise ValueError(
            f'model.neck: {_plain_name(neck)} pools a feature map, but {_plain_name(backbone)} '
            'gives one feature vector per image: leave the neck out (model.neck=None)'
        )


def _gives_vector(backbone):
    """bool: Whether a backbone's output is (B, E), without height and width."""
    kind = _class_of(backbone)
    if kind is None:
        return False
    if issubclass(kind, PromptedCLIPBackbone):
        return True
    for step in inspect.getmro(kind):
        if 'out_type' in inspect.signature(step.__init__).parameters:
            default = inspect.signature(step.__init__).parameters['out_type'].default
            return backbone.get('out_type', default) in VECTORS
    return False


def _plain_name(cfg):
    kind = cfg['type']
    return kind.removeprefix('mmpretrain.') if isinstance(kind, str) else kind.__name__


def _class_of(cfg):
    """type | None: What a config builds, as far as the registry knows it."""
    if not isinstance(cfg, dict) or cfg.get('type') is None:
        return None
    found = (
        MODELS.module_dict.get(_plain_name(cfg)) if isinstance(cfg['type'], str) else cfg['type']
    )
    return found if inspect.isclass(found) else None
