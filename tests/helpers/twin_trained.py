"""Outputs of LP++ and ProLIP (see twin_space.py)."""

from itertools import product

import numpy as np

from helpers import twin_features as plain
from helpers.twin_features import unit
from helpers.twin_seen import first_best, percent, spaced


def lppp(meta, given, seen):
    tokens, text = seen.texts(meta['template'], spaced(meta['class_names']))
    rows, query, val = (seen.images(given[f'{k}images']) for k in ('support/', '', 'val/'))
    labels, start = given['support/labels'], plain.lppp_start(rows, given['support/labels'], text)
    settings = meta['epochs'], meta['alpha_period'], meta['momentum']
    states = list(plain.lppp(rows, labels, text, given['param/bias'], *settings))

    def logits(images, state):
        return (
            unit(images) @ state['weight'].T
            + state['bias']
            + state['alpha'] * (unit(images) @ unit(text).T)
        )

    scores = np.array([percent(logits(val, s), given['val/labels']) for s in states])
    best = max(i for i, score in enumerate(scores) if score == scores.max())
    kept, end = states[best], states[-1]
    names = ('weight', 'bias', 'alpha')
    return {
        'tok/template_prompts': tokens,
        'out/zeroshot_text_features': unit(text),
        'out/support_features': unit(rows),
        'out/val_features': unit(val),
        'out/query_features': unit(query),
        'param/weight': start['weight'],
        'param/alpha': start['alpha'],
        'out/alpha_init': start['alpha'][0],
        **{f'out/{k}': np.array(v) for k, v in start.items() if k not in names},
        **{f'grad/{n}': states[0]['grads'][n] for n in names},
        'traj/loss': np.array([s['loss'] for s in states]),
        'traj/alpha': np.array([s['alpha'] for s in states]),
        'traj/bias': np.array([s['bias'] for s in states]),
        'traj/alpha_grad_accumulated': np.array([s['grads']['alpha'] for s in states]),
        'traj/weight_selected': np.array([states[i]['weight'] for i in meta['stored_epochs']]),
        'traj/val_accuracy': scores,
        'traj/best_epoch': np.array(best),
        **{f'out/{n}_best': kept[n] for n in names},
        'out/logits': logits(query, kept),
        'out/test_accuracy': percent(logits(query, kept), given['labels']),
        **{f'traj/final/{n}': end[n] for n in names},
        'traj/final_logits': logits(query, end),
    }


def prolip(meta, given, seen):
    tokens, text = seen.texts(meta['template'], spaced(meta['class_names']))
    views, query = (seen.pooled(given[f'{k}images']) for k in ('support/', ''))
    labels, scale = given['support/labels'], meta['logit_scale']

    def train(rate, weight):
        return list(
            plain.prolip(views, labels, text, seen.proj, scale, meta['epochs'], rate, weight)
        )

    def logits(images, proj):
        return scale * unit(images @ proj) @ unit(text).T

    found = {
        'tok/template_prompts': tokens,
        'out/zeroshot_text_features': unit(text),
        'param/proj': seen.proj,
        'out/support_pre_projection': views,
        'out/query_pre_projection': query,
    }
    if 'lr_grid' in meta:
        val = seen.pooled(given['val/images'])
        grid = list(product(meta['lr_grid'], meta['lambda_grid']))
        ends = [train(*pair)[-1] for pair in grid]
        answers = [logits(val, end['proj']) for end in ends]
        accuracy = [percent(answer, given['val/labels']) for answer in answers]
        rate, weight = first_best(accuracy, grid, None)
        shape = len(meta['lr_grid']), len(meta['lambda_grid'])
        found.update(
            {
                'out/val_pre_projection': val,
                'search/accuracy': np.array(accuracy).reshape(shape),
                'search/last_ce': np.array([e['loss_ce'] for e in ends]).reshape(shape),
                'search/val_logits': np.array(answers).reshape(*shape, *answers[0].shape),
                'search/lr_lambda': np.array([rate, weight]),
            }
        )
        states = train(rate, weight)
    else:
        rate, weight = meta['lr'], meta['lambda_value']
        states = train(rate, weight)
        found.update(prolip_run(meta, views, states))
        found['traj/loss'] = np.array([s['loss_ce'] + weight * s['loss_penalty'] for s in states])
        found['out/zeroshot_logits'] = logits(query, seen.proj)
    end = states[-1]['proj']
    return {
        **found,
        'traj/loss_ce': np.array([s['loss_ce'] for s in states]),
        'traj/loss_penalty': np.array([s['loss_penalty'] for s in states]),
        'traj/final/proj': end,
        'out/logits': logits(query, end),
        'out/test_accuracy': percent(logits(query, end), given['labels']),
    }


def prolip_run(meta, views, states):
    """What is kept of a training alone."""
    grads = dict(zip(('first', 'second'), states))
    return {
        'traj/view': np.array([(e + 1) % len(views) for e in range(len(states))]),
        'traj/lr': np.array([s['lr'] for s in states]),
        'traj/proj_selected': np.array([states[i]['proj'] for i in meta['stored_steps']]),
        **{f'grad/proj_{k}': s['gradient'] for k, s in grads.items()},
    }
