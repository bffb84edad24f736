"""Cases of the heads that train themselves: LP++, ProLIP."""

import numpy as np
import torch

from mmdpt.models.heads.feature_space import best, percent
from mmdpt.models.heads.lppp import class_cosines, parts
from mmdpt.models.heads.prolip import lambda_of, rate_of

from .feature_space import check_equal, check_equal_shots, common, labelled, model_of
from .feature_space import space_of, unit
from .golden import Golden
from .settings import NotImplementedCase


def lppp(golden: Golden) -> dict:
    """Start values, the whole training, and the epoch that is kept."""
    meta = golden.meta
    check_equal(
        meta,
        weight_decay=0.0,
        alpha_constant=250,
        text_logit_scale='none (cosine times alpha)',
        bias_init='uniform in plus/minus 1/sqrt(E) (library default), stored',
        validation='best epoch by val accuracy, later epoch wins ties',
    )
    check_equal_shots(golden.arrays['support/labels'], len(meta['class_names']))
    meta.get('val_shots')  # the file holds the images
    epochs, period, momentum = meta['epochs'], meta['alpha_period'], meta['momentum']
    model = model_of(golden, dict(type='LPPPHead'))
    space, query, head = space_of(golden, model), labelled(golden, model), model.head
    bias = golden.tensor('param/bias')
    with torch.no_grad():
        head.bias.copy_(bias)
    rates = head.start(space.support)
    _, cosines = parts(space.support.match)
    image = unit(space.support.match.image)
    found = {
        f'out/{k}': v
        for k, v in {
            'alpha_class_cosines': class_cosines(cosines, space.support.labels),
            'alpha_init': head.alpha[0].clone(),
            'gram_largest_eigenvalue': torch.linalg.eigvalsh(image.t() @ image)[-1],
            'lr_weight': np.array(rates[0]),
            'lr_alpha': np.array(rates[1]),
            'val_features': unit(space.val().match.image),
        }.items()
    }
    found.update({f'param/{n}': getattr(head, n).clone() for n in ('weight', 'alpha')})
    found.update(lppp_run(golden, head, space, rates, (epochs, period, momentum)))
    found.update({f'traj/final/{n}': p.clone() for n, p in head.named_parameters()})
    found['traj/final_logits'] = head(query.match)
    with torch.no_grad():  # the whole of it, as a training does
        head.bias.copy_(bias)
    chosen = head.fit(space, epochs, period, momentum)
    found['traj/val_accuracy'] = chosen.accuracy
    found['traj/best_epoch'] = np.array(chosen.values['epoch'] - 1)
    found.update({f'out/{n}_best': p for n, p in head.named_parameters()})
    return {**found, **common(model, query, space)}


def lppp_run(golden: Golden, head, space, rates, plan) -> dict:
    """The training epoch by epoch."""
    rows = {n: [] for n in ('loss', 'alpha', 'bias', 'alpha_grad_accumulated', 'weight_selected')}
    found = {}
    for epoch, loss in enumerate(head.descend(space.support, rates, *plan)):
        if not epoch:
            found = {f'grad/{n}': p.grad.clone() for n, p in head.named_parameters()}
        rows['loss'].append(loss)
        rows['alpha'].append(head.alpha.detach().clone())
        rows['bias'].append(head.bias.detach().clone())
        rows['alpha_grad_accumulated'].append(head.alpha.grad.clone())
        if epoch in golden.meta['stored_epochs']:
            rows['weight_selected'].append(head.weight.detach().clone())
    return {**found, **{f'traj/{k}': torch.stack(v) for k, v in rows.items()}}


def prolip(golden: Golden) -> dict:
    """One training, or the search of rate and lambda and the training after it."""
    meta = golden.meta
    check_equal(
        meta,
        optimizer='Adam, betas 0.9 0.999, eps 1e-4, no weight decay',
        schedule='cosine to 0 over the epochs, stepped each epoch',
        penalty='sum of squared differences (not mean)',
    )
    model = model_of(golden, dict(type='ProLIPHead'))
    space, query, head = space_of(golden, model, 'aug_views'), labelled(golden, model), model.head
    epochs, views = meta['epochs'], space.views
    order = [(epoch + 1) % views for epoch in range(epochs)]
    meta.one_of('view_order', [order])
    pooled = space.support.match.pooled
    found = {
        'out/support_pre_projection': pooled.view(views, -1, pooled.shape[1]),
        'out/query_pre_projection': query.match.pooled,
        'param/proj': head.start,
    }
    if 'lr_grid' in meta:
        check_equal(meta, validation='search of lr and lambda on val')
        rate, weight = meta['lr_grid'], meta['lambda_grid']
        found.update(prolip_search(head, space, epochs, rate, weight))
        rate, weight = found['search/lr_lambda']
    else:
        check_equal(meta, validation='none')
        rate, weight = meta['lr'], weight_of(meta)
    found.update(prolip_run(golden, head, space, (epochs, float(rate), float(weight))))
    final = head.proj.detach().clone()
    head.fit(space, epochs, float(rate), float(weight))
    if not torch.equal(final, head.proj):
        raise AssertionError('fit does not end where its steps do')
    return {**common(model, query), **found, 'traj/view': np.array(order)}


def weight_of(meta) -> float:
    """lambda, which the file gives, by a rule or not."""
    rule, value = meta['lambda_rule'], meta['lambda_value']
    if rule in ('1/shots', '1/shots^2') and not np.isclose(lambda_of(rule, meta['shots']), value):
        raise NotImplementedCase(f'lambda_value={value!r} with lambda_rule={rule!r}')
    return value


def prolip_run(golden: Golden, head, space, plan) -> dict:
    """The training epoch by epoch."""
    rows = {n: [] for n in ('lr', 'loss_ce', 'loss_penalty', 'loss', 'proj_selected')}
    found = {}
    epochs, rate, weight = plan
    for epoch, (loss, distance) in enumerate(head.descend(space, *plan)):
        if epoch < 2 and 'grad/proj_first' in golden.arrays:
            found[f'grad/proj_{("first", "second")[epoch]}'] = head.proj.grad.clone()
        rows['loss_ce'].append(loss)
        rows['loss_penalty'].append(distance)
        rows['loss'].append(loss + weight * distance)
        rows['lr'].append(torch.tensor(rate_of(epoch, epochs, rate), dtype=torch.float64))
        if epoch in golden.meta.get('stored_steps', []):
            rows['proj_selected'].append(head.proj.detach().clone())
    found.update({f'traj/{k}': torch.stack(v) for k, v in rows.items() if v})
    return {**found, 'traj/final/proj': head.proj.detach().clone()}


def prolip_search(head, space, epochs: int, rates: list, weights: list) -> dict:
    """Every setting of the grid, and what ``fit`` chooses."""
    val, ends, logits, scores = space.val(), [], [], []
    for rate in rates:
        for weight in weights:
            *_, (loss, _) = head.descend(space, epochs, rate, weight)
            ends.append(loss)
            logits.append(head(val.match).detach())
            scores.append(percent(logits[-1], val.labels))
    shape = (len(rates), len(weights))
    chosen = head.fit(space, epochs, rates, weights)
    if chosen is None:  # a grid of one setting is no search
        chosen = best(torch.stack(scores).view(shape), lr=rates, penalty=weights)
    return {
        'out/val_pre_projection': val.match.pooled,
        'search/last_ce': torch.stack(ends).view(shape),
        'search/val_logits': torch.stack(logits).view(*shape, *logits[0].shape),
        'search/accuracy': chosen.accuracy,
        'search/lr_lambda': np.array([chosen.values['lr'], chosen.values['penalty']]),
    }
