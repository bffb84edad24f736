"""A small feature space: random features of a few labelled images."""

import torch

from mmdpt.models.heads.feature_space import FeatureSpace, Labelled


def labelled(model, count, views=1, classes=4, seed=0):
    """Random features of ``count`` images in several views, view by view, a cluster a class."""
    generator = torch.Generator().manual_seed(seed)
    size = model.backbone.width if model.kept_kind == 'pooled' else model.backbone.embed_dim
    centres = torch.randn(classes, size, generator=torch.Generator().manual_seed(9))
    labels = (torch.arange(count) % classes).repeat(views)
    noise = torch.randn(count * views, size, generator=generator)
    rows = (centres[labels] + noise).to(next(model.backbone.parameters()).dtype)
    with torch.no_grad():
        return Labelled(model.eval().match_features(rows), labels)


def space(model, count=8, views=2, val=12):
    """What a head's ``fit`` gets."""
    classes = len(model.classes)
    return FeatureSpace(
        labelled(model, count, views, classes),
        views,
        lambda: labelled(model, val, 1, classes, seed=1),
        lambda: torch.stack(model.text.by_template()),
    )
