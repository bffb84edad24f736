"""Outputs of GDA and APE (see twin_space.py)."""

from itertools import product

import numpy as np

from helpers import twin_features as plain
from helpers.twin_features import unit
from helpers.twin_seen import first_best, percent, spaced


def gda(meta, given, seen):
    tokens, text = seen.texts(meta['template'], spaced(meta['class_names']))
    rows, query, val = (seen.images(given[f'{k}images']) for k in ('support/', '', 'val/'))
    labels = np.tile(given['support/labels'], len(rows))
    rows, few, classes = rows.reshape(-1, rows.shape[-1]), 'k' not in meta, len(text)
    means, precision, weight, bias, *rest = (plain.gda if few else plain.gda_base)(
        rows, labels, classes
    )

    def both(images):
        return meta['logit_scale'] * unit(images) @ unit(text).T, unit(images) @ weight.T + bias

    zero_shot, gaussian = both(val)
    accuracy = [percent(zero_shot + a * gaussian, given['val/labels']) for a in meta['alpha_grid']]
    alpha = first_best(accuracy, meta['alpha_grid'], meta['alpha_start'])
    zero_shot, gaussian = both(query)
    logits = zero_shot + alpha * gaussian
    found = {
        'tok/template_prompts': tokens,
        'out/zeroshot_text_features': unit(text),
        'out/query_features': unit(query),
        'out/val_features': unit(val),
        'out/support_features': unit(rows),
        'out/support_view_labels': labels,
        'out/class_means': means,
        'out/precision': precision,
        'out/weight': weight.T,
        'out/bias': bias,
        'out/logits': logits,
        'out/test_accuracy': percent(logits, given['labels']),
        'search/alpha_grid': np.array(meta['alpha_grid']),
        'search/accuracy': np.array(accuracy),
        'search/best_alpha': np.array(alpha),
    }
    if not few:
        new = gda_new(meta, given, seen, rows, alpha)
        return {**found, **new, 'out/class_covariances_mean': rest[0]}
    far = unit(rows) - means[labels]
    covariance = far.T @ far / (len(far) - 1)
    return {
        **found,
        'out/zeroshot_image_features': query,
        'out/zeroshot_logits': zero_shot,
        'out/gda_logits': gaussian,
        'out/covariance': covariance,
        'out/trace': np.trace(covariance),
    }


def gda_new(meta, given, seen, rows, alpha):
    tokens, text = seen.texts(meta['new_template'], spaced(meta['new_class_names']))
    indices, means, precision, weight, bias = plain.gda_new(
        rows, text, meta['k'], meta['text_copies']
    )
    query = unit(seen.images(given['new/images']))
    logits = meta['logit_scale'] * query @ unit(text).T + alpha * (query @ weight.T + bias)
    return {
        'tok/new_template_prompts': tokens,
        'out/new_zeroshot_text_features': unit(text),
        'out/new_query_features': query,
        'out/new_topk_indices': indices,
        'out/new_means': means,
        'out/new_precision': precision,
        'out/new_weight': weight.T,
        'out/new_bias': bias,
        'out/new_logits': logits,
        'out/new_test_accuracy': percent(logits, given['new/labels']),
    }


def ape(meta, given, seen):
    tokens, text = seen.texts(meta['template'], spaced(meta['class_names']))
    views, query, val = (seen.images(given[f'{k}images']) for k in ('support/', '', 'val/'))
    labels, text = given['support/labels'], unit(text)
    keys, similarity, criterion, kept = plain.ape_space(
        views, labels, text, meta['training_free_feat_num'], meta['w_training_free']
    )

    def logits(images, beta, alpha, gamma):
        setting = alpha, beta, gamma
        return plain.ape(keys, kept, labels, text, images, setting, meta['logit_scale'])

    scale, step = meta['search_scale'], meta['search_step']
    starts = (0.1, 0.1, 0)
    axes = [[s + i * (x - s) / n for i in range(n)] for s, x, n in zip(starts, scale, step)]
    settings = list(product(*axes))
    accuracy = np.array([percent(logits(val, *s), given['val/labels']) for s in settings])
    chosen = first_best(accuracy, settings, (0, 0, 0))
    searched = logits(query, *chosen)
    return {
        'tok/template_prompts': tokens,
        'out/zeroshot_text_features': text,
        'out/cache_keys': keys.T,
        'out/val_features': unit(val),
        'out/query_features': unit(query),
        'out/similarity': similarity,
        'out/criterion': criterion,
        'out/selected': kept,
        'out/refined_keys': unit(keys[:, kept]),
        'out/refined_text': unit(text[:, kept]),
        'out/cache_divergence': plain.ape_far(keys[:, kept], text[:, kept], labels),
        'out/zeroshot_logits': meta['logit_scale'] * unit(query) @ text.T,
        'out/logits': logits(query, *meta['init_beta_alpha_gamma']),
        'out/logits_searched': searched,
        'out/test_accuracy': percent(searched, given['labels']),
        'search/accuracy': accuracy.reshape(step),
        'search/beta_alpha_gamma': np.array(chosen),
    }
