"""Outputs of TransCLIP, by the full affinity matrix (see twin_space.py)."""

import numpy as np

from helpers.twin_features import softmax, unit
from helpers.twin_seen import first_best, percent, spaced


def affinity(rows, query, count):
    """The cosines of the nearest but one, nearest but two, ..."""
    cosines = rows @ query.T
    kept = np.zeros_like(cosines)
    for i, row in enumerate(cosines):
        chosen = np.argsort(-row, kind='stable')[1 : 1 + count]
        kept[i, chosen] = row[chosen]
    return kept


def transclip(meta, given, seen):
    tokens, text = seen.texts(meta['template'], spaced(meta['class_names']))
    text, query = unit(text), unit(seen.images(given['images']))
    support, val = (
        unit(seen.images(given[f'{k}/images'])) if f'{k}/images' in given else None
        for k in ('support', 'val')
    )
    classes, y = len(text), softmax(meta['logit_scale'] * query @ text.T)
    if support is None:
        support, hot = query[:0], np.zeros((0, classes))
        likely = np.argsort(-y, axis=0, kind='stable')[:8]
        mu = unit(np.array([y[i, c] @ query[i] for c, i in enumerate(likely.T)]))
    else:
        hot = np.eye(classes)[given['support/labels']]
        mu = unit(hot.T @ support)
    near = affinity(np.concatenate([support, query]), query, meta['neighbours'])
    found = {
        'tok/template_prompts': tokens,
        'out/zeroshot_text_features': text,
        'out/query_features': query,
        'out/affinity': near,
        'out/zeroshot_probabilities': y,
        'init/means': mu,
        'search/gamma': np.array(meta['gamma_list'], float),
    }
    iterates = dict(assignments=[], means=[], variances=[])
    ends = list(solve(meta, query, support, hot, y, mu, near, iterates))
    found.update({f'traj/{k}': np.array(v) for k, v in iterates.items()})
    found['out/assignments'] = ends[-1]
    tests = [percent(end, given['labels']) for end in ends]
    found['out/test_accuracy'] = tests[-1]
    if val is None:
        return found
    nearest = (val @ query.T).argmax(1)
    vals = [percent(end[nearest], given['val/labels']) for end in ends]
    found.update(
        {
            'out/support_features': support,
            'out/val_features': val,
            'out/val_neighbor': nearest,
            'search/val_accuracy': np.array(vals),
            'search/test_accuracy': np.array(tests),
            'out/test_accuracy': first_best(vals, tests, None),
        }
    )
    return found


def solve(meta, query, support, hot, y, mu, near, iterates):
    """The assignments that each gamma ends with."""
    b, t = len(query), meta['temperature']
    z, v = y.copy(), np.full(query.shape[1], 1 / query.shape[1])
    for gamma in meta['gamma_list']:
        for step in range(meta['max_iter'] + 1):
            own = -((query[:, None] - mu) ** 2 / v).sum(2) / 2
            for _ in range(meta['inner_iterations']):
                others = near.T @ np.concatenate([z, hot]) + (near @ z)[:b]
                u = own + t / (2 * meta['neighbours']) * others
                z = y ** meta['lambda_value'] * np.exp((u - u.max(1, keepdims=True)) / t)
                z = z / z.sum(1, keepdims=True)
            iterates['assignments'].append(z)
            if step == meta['max_iter']:
                break
            share = gamma * t / len(support) if len(support) else 0.0
            members = z.sum(0) / b + share * hot.sum(0)
            mu = unit((z.T @ query / b + share * hot.T @ support) / members[:, None])
            v = sum(
                z[:, c] @ (query - mu[c]) ** 2 / b + share * hot[:, c] @ (support - mu[c]) ** 2
                for c in range(len(mu))
            )
            v = v / members.sum()
            iterates['means'].append(mu)
            iterates['variances'].append(v)
        yield z
