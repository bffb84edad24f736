"""The feature space of a case: its images, seen by the towers."""

import numpy as np
import torch
import torch.nn.functional as F

from mmdpt.models.heads.feature_space import FeatureSpace, Labelled

from .golden import Golden, build_model
from .settings import NotImplementedCase
from .tokens import template_tokens


def labelled(golden: Golden, model, prefix: str = '') -> Labelled:
    """The images of a key, all views of them, view by view."""
    images = golden.images(f'{prefix}images')
    views = images if images.dim() == 5 else images[None]
    labels = golden.tensor(f'{prefix}labels').repeat(len(views))
    with torch.no_grad():
        kept = [model.clip_features(view, model.kept_kind == 'pooled') for view in views]
        return Labelled(model.match_features(torch.cat(kept)), labels)


def space_of(golden: Golden, model, views_key: str | None = None) -> FeatureSpace:
    """The feature space of a case.

    Args:
        golden (Golden): The case.
        model (PromptedCLIP): The model.
        views_key (str, optional): The setting that repeats the number of views.
    """
    images = golden.arrays['support/images']
    views = len(images) if images.ndim == 5 else 1
    if views_key is not None:
        golden.meta.one_of(views_key, [views])
    return FeatureSpace(
        labelled(golden, model, 'support/'),
        views,
        lambda: labelled(golden, model, 'val/'),
        lambda: torch.stack(model.text.by_template()),
    )


def unit(rows: torch.Tensor) -> torch.Tensor:
    return F.normalize(rows, dim=-1)


def model_of(golden: Golden, head: dict, **options):
    """The model of a case, its images alone prompted by nothing."""
    if not isinstance(golden.meta.get('template'), str):
        raise NotImplementedCase('several templates')
    return build_model(golden, start_values=False, head=head, **options).eval()


def common(model, query: Labelled, space: FeatureSpace | None = None) -> dict:
    """What several cases hold alike."""
    found = {
        'tok/template_prompts': template_tokens(model)[0],
        'out/zeroshot_text_features': model.frozen_text_features(),
        'out/query_features': unit(query.match.image),
        'out/zeroshot_image_features': query.match.image,
        'out/logits': model.head(query.match),
        'out/test_accuracy': accuracy(model.head(query.match), query.labels),
    }
    with model.zero_shot():
        features = query.match.pooled if model.kept_kind == 'pooled' else query.match.image
        match = model.match_features(features)
        found['out/zeroshot_logits'] = model._plain_head(match)
    if space is not None:
        found['out/support_features'] = unit(space.support.match.image)
        found['out/support_view_labels'] = space.support.labels
    return found


def check_equal_shots(labels: np.ndarray, num_classes: int) -> None:
    """Raise unless every class has as many images of the support, which the code assumes."""
    counts = np.bincount(labels, minlength=num_classes)
    if len(set(counts)) > 1:
        raise NotImplementedCase(f'support with {counts.tolist()} images of the classes')


def accuracy(logits: torch.Tensor, labels: torch.Tensor) -> np.ndarray:
    return np.array(100 * float((logits.argmax(1) == labels).double().mean()))


def check_equal(meta, **values) -> None:
    """Raise unless the settings that we have no option for are the ones we use."""
    for key, value in values.items():
        meta.one_of(key, [value])
