"""Cases of the methods that are fitted in closed form: GDA, APE."""

import numpy as np
import torch

from mmdpt.models.heads.gda import mean_covariance

from .feature_space import accuracy, check_equal, check_equal_shots, common, labelled
from .feature_space import model_of, space_of, unit
from .golden import Golden
from .settings import NotImplementedCase
from .tokens import template_tokens


@torch.no_grad()
def gda(golden: Golden) -> dict:
    """Few-shot, or base classes with what is made of them for new ones."""
    meta = golden.meta
    check_equal(meta, priors='uniform 1/C', validation='search of alpha on val')
    views, shots = golden.arrays['support/images'].shape[:2]
    if views * np.bincount(golden.arrays['support/labels']).max() < 2:
        raise NotImplementedCase('one feature per class: they have no covariance')
    head = dict(type='GDAHead', alpha=meta['alpha_start'])
    if 'new_class_names' in meta:
        head.update(
            num_support=views * shots, num_nearest=meta['k'], text_copies=meta['text_copies']
        )
    model = model_of(golden, head)
    space, query = space_of(golden, model, 'augment_epoch'), labelled(golden, model)
    head, (match, labels) = model.head, space.support
    head.fit(space)
    val = space.val()
    found = {'search/accuracy': head.search(val, meta['alpha_grid']).accuracy}
    found['search/alpha_grid'] = np.array(meta['alpha_grid'])
    found['search/best_alpha'] = head.alpha
    found.update(common(model, query, space))
    rows = unit(match.image)
    means, found['out/precision'] = head.estimate(rows, labels)
    centred = rows.double() - means[labels]
    found['out/val_features'] = unit(val.match.image)
    found['out/class_means'] = means
    found['out/gda_logits'] = head.gaussian(query.match)
    found['out/weight'], found['out/bias'] = head.weight.t(), head.bias
    if not len(head.support):
        found['out/covariance'] = centred.t() @ centred / (len(rows) - 1)
        found['out/trace'] = found['out/covariance'].trace()
        return found
    covariance = mean_covariance(centred, labels, len(head.bias))
    found['out/class_covariances_mean'] = covariance
    check_equal(
        meta,
        dimension_constant='512 in the code, replaced by the feature size',
        base_pinv_rtol='torch.linalg.pinv default: D * machine epsilon, relative to the largest '
        'singular value',
    )
    return {**found, **new_classes(golden, model)}


def new_classes(golden: Golden, model) -> dict:
    """The base classes' checkpoint in a model of the new ones."""
    meta, old = golden.meta, model.head
    head = dict(
        type='GDAHead',
        num_support=len(old.support),
        num_nearest=old.num_nearest,
        text_copies=old.text_copies,
    )
    names = dict(classes=meta['new_class_names'], templates=meta['new_template'])
    other = model_of(golden, head, transfer=True, **names)
    other.load_state_dict(model.state_dict())
    query = labelled(golden, other, 'new/')
    logits = other.head(query.match)
    text = other.frozen_text_features()
    means, precision = other.head.other_classes(text)
    return {
        'tok/new_template_prompts': template_tokens(other)[0],
        'out/new_zeroshot_text_features': text,
        'out/new_query_features': unit(query.match.image),
        'out/new_topk_indices': other.head.nearest(text),
        'out/new_means': means,
        'out/new_precision': precision,
        'out/new_weight': other.head.weight.t(),
        'out/new_bias': other.head.bias,
        'out/new_logits': logits,
        'out/new_test_accuracy': accuracy(logits, query.labels),
    }


@torch.no_grad()
def ape(golden: Golden) -> dict:
    """The channels, the cache, and the search."""
    meta, arrays = golden.meta, golden.arrays
    check_equal(meta, validation='search of beta, alpha, gamma on val')
    labels = arrays['support/labels']
    check_equal_shots(labels, len(meta['class_names']))
    if (np.diff(labels) < 0).any():
        raise NotImplementedCase('support images that are not sorted by class')
    meta.get('text')  # one template, as the file's tokens say
    beta, alpha, gamma = meta['init_beta_alpha_gamma']
    weights = meta['w_training_free']
    head = dict(
        type='APEHead',
        num_keys=len(labels),
        channel_share=meta['training_free_feat_num'] / meta['embed'],
        similarity_weight=weights[0],
        variance_weight=weights[1],
        alpha=float(alpha),
        beta=float(beta),
        gamma=float(gamma),
    )
    model = model_of(golden, head)
    space, query, head = (
        space_of(golden, model, 'augment_epoch'),
        labelled(golden, model),
        model.head,
    )
    head.fit(space)
    text, val = model.frozen_text_features(), space.val()
    found = {
        **common(model, query),
        'out/cache_keys': head.keys.t(),
        'out/val_features': unit(val.match.image),
        'out/similarity': head.likeness(text),
        'out/criterion': head.criterion(text),
        'out/selected': head.channels,
        'out/refined_keys': head.refined(head.keys),
        'out/refined_text': head.refined(text),
        'out/cache_divergence': head.divergence(text),
    }
    chosen = head.search(val, meta['search_scale'], meta['search_step'])
    found['search/accuracy'] = chosen.accuracy
    found['search/beta_alpha_gamma'] = np.array(list(chosen.values.values()))
    found['out/logits_searched'] = head(query.match)
    found['out/test_accuracy'] = accuracy(head(query.match), query.labels)
    return found
