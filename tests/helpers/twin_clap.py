"""Inputs and outputs of CLAP's code: ZS-LP, CLAP, the cross-modal probe (see twin_space.py)."""

import math

import numpy as np

from helpers import twin_features as plain
from helpers.twin_features import unit


def batches_of(meta, support):
    return max(1, support // meta['batch_size'])


def pool(rng, meta, given):
    """The orders that the authors' code draws."""
    views, size = given['support/images'].shape[:2]
    rows = views * size
    drawn = {
        'pool/support_index': np.concatenate([rng.permutation(size) for _ in range(views)]),
        'pool/view': np.repeat(np.arange(views), size),
        'traj/permutation': np.array([rng.permutation(rows) for _ in range(meta['epochs'])]),
    }
    if meta['init'] == 'CrossModal':
        drawn['pool/text_index'] = rng.integers(len(meta['class_names']), size=rows)
        drawn['traj/half_choice'] = rng.integers(2 * rows, size=(meta['epochs'], rows))
    return drawn


def rate(meta, epoch):
    warm_up, epochs = meta['warmup_epochs'], meta['epochs']
    if epoch < warm_up:
        return meta['warmup_lr']
    return meta['lr'] / 2 * (1 + math.cos(math.pi * (epoch - warm_up) / epochs))


def chosen_multipliers(own, constraint):
    """Options are substrings."""
    if constraint == 'none':
        return 0.0
    if 'balanced' in constraint:
        return np.ones(len(own))
    if 'corrected' in constraint:
        own = own * len(own) / own.sum()
    return np.full(len(own), own.mean()) if 'constant' in constraint else own


def clap(meta, given, seen):
    tokens, text = seen.texts(meta['template'], meta['class_names'])
    support, query = (seen.images(given[f'{k}images']) for k in ('support/', ''))
    index = given['pool/support_index']
    rows, labels = support[given['pool/view'], index], given['support/labels'][index]
    scale, constraint = meta['logit_scale'], meta['constraint']
    found = {
        'tok/template_prompts': tokens,
        'out/text_features': text,
        'out/query_features': query,
        'out/pool_features': rows,
        'out/pool_labels': labels,
        'out/pool_zeroshot_logits': scale * unit(rows) @ unit(text).T,
    }
    own = plain.clap_multipliers(rows, labels, text, scale)
    start = chosen_multipliers(own, constraint)
    if constraint != 'none':
        found['out/multipliers'] = start
    if meta['method'] == 'clap':
        for rule in ('corrected', 'constant', 'balanced'):
            found[f'out/multipliers_{rule}'] = chosen_multipliers(own, rule)
    orders = given['traj/permutation']
    if 'pool/text_index' in given:
        rows = np.concatenate([rows, text[given['pool/text_index']]])
        labels = np.concatenate([labels, given['pool/text_index']])
        choices = zip(given['traj/half_choice'], orders)
        orders = [choice[order] for choice, order in choices]
    size, count = meta['batch_size'], batches_of(meta, len(given['support/labels']))
    plan = [
        (rate(meta, e), [order[b * size : (b + 1) * size] for b in range(count)])
        for e, order in enumerate(orders)
    ]
    adaptive = 'adaptative' in constraint
    settings = plan, meta['momentum'], start, adaptive, meta['weight_decay']
    states = list(plain.clap(rows, labels, text, scale, *settings))
    if adaptive:
        for name in ('multipliers', 'penalty'):
            found[f'traj/{name}'] = np.array([s[name] for s in states if s['ends']])
    end = states[-1]['prototypes']
    grads = dict(zip(('first', 'second'), states))
    return {
        **found,
        **{f'grad/prototypes_{k}': s['gradient'] for k, s in grads.items()},
        'traj/lr': np.array([s['lr'] for s in states]),
        'traj/loss': np.array([s['loss'] for s in states]),
        'traj/prototypes_selected': np.array(
            [states[i]['prototypes'] for i in meta['stored_steps']]
        ),
        'traj/final/prototypes': end,
        'out/logits': scale * unit(query) @ unit(end).T,
    }
