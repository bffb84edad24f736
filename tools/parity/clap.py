"""Cases of CLAP's code: ZS-LP, CLAP, the cross-modal linear probe."""

import re
from unittest.mock import patch

import torch
from mmengine.optim import build_optim_wrapper

from mmdpt.models.heads.clap import RULES, text_samples
from mmdpt.models.heads.feature_space import FeatureSpace, Labelled

from .feature_space import check_equal, common, labelled, model_of, space_of
from .golden import Golden
from .runs import samples, warm_cosine
from .settings import NotImplementedCase

OPTIONS = 'l2|adaptative|corrected|constant|balanced'  # may stand anywhere in the constraint


def clap_head(meta) -> dict:
    """Our config of a method of CLAP's code."""
    init, constraint = meta['init'], meta['constraint']
    if (init, constraint) == ('ZS', 'none'):
        return dict(type='ZSLPHead')
    if (init, constraint) == ('CrossModal', 'none'):
        return dict(type='CrossModalHead')
    options = set(re.findall(OPTIONS, constraint))
    if init != 'ZS' or 'l2' not in options or re.sub(f'{OPTIONS}|_', '', constraint):
        raise NotImplementedCase(f'init={init!r} with constraint={constraint!r}')
    rules = options & {'corrected', 'constant'}
    # the mean of what was corrected is 1
    rule = 'balanced' if 'balanced' in options or len(rules) > 1 else rules.pop() if rules else 'l2'
    return dict(type='CLAPHead', multipliers=rule, adaptive='adaptative' in options)


def clap(golden: Golden) -> dict:
    """ZS-LP, CLAP and the cross-modal probe: the pool, the multipliers, the run."""
    meta, arrays = golden.meta, golden.arrays
    check_equal(
        meta,
        validation='none',
        drop_last_in_batches_per_epoch=True,
        schedule='cosine, see README.md',
        underscores='kept as they are (not replaced by spaces)',
        trainable=['adapter.prototypes'],
    )
    with patch('mmdpt.models.prompts.templates.clean_name', lambda name: name):
        model = model_of(golden, clap_head(meta))
    space, query, head = space_of(golden, model, 'repetitions'), labelled(golden, model), model.head
    found = {k: v for k, v in common(model, query).items() if not k.startswith('out/')}
    found['out/text_features'] = space.templates().mean(0)
    found['out/query_features'] = query.match.image
    # the pool has the support set's rows in the file's order
    size = len(arrays['support/labels'])
    rows = golden.tensor('pool/view') * size + golden.tensor('pool/support_index')
    image, labels = space.support.match.image[rows], space.support.labels[rows]
    pool = Labelled(space.support.match._replace(image=image), labels)
    space = space._replace(support=pool)
    head.fit(space)
    found['out/pool_features'], found['out/pool_labels'] = image, labels
    found['out/pool_zeroshot_logits'] = head(pool.match).detach()
    if hasattr(head, 'multipliers'):
        found.update(multipliers(model, space))
    if 'pool/text_index' in arrays:
        text = golden.tensor('pool/text_index')
        extra = text_samples(pool.match, space.templates(), torch.zeros_like(text), text)
        image = torch.cat([image, extra.match.image])
        labels = torch.cat([labels, extra.labels])
    found.update(clap_run(golden, model, image, labels))
    found['out/logits'] = head(query.match)
    return found


def multipliers(model, space: FeatureSpace) -> dict:
    """By each rule, the chosen one last."""
    head, chosen, found = model.head, model.head.rule, {}
    for name, head.rule in {**RULES, '': chosen}.items():
        head.fit(space)
        found[f'out/multipliers_{name}'.rstrip('_')] = head.multipliers.clone()
    return found


def clap_run(golden: Golden, model, image: torch.Tensor, labels: torch.Tensor) -> dict:
    """The training through MMEngine's optimizer and our schedule, in the file's order."""
    meta, arrays, head = golden.meta, golden.arrays, model.head
    optim = build_optim_wrapper(
        model,
        dict(
            constructor='PromptOptimWrapperConstructor',
            optimizer=dict(
                type='SGD',
                lr=meta['lr'],
                momentum=meta['momentum'],
                weight_decay=meta['weight_decay'],
            ),
        ),
    )
    schedule = warm_cosine(optim, meta['epochs'], meta['warmup_epochs'], meta['warmup_lr'])
    size, rows = meta['batch_size'], {n: [] for n in ('lr', 'loss', 'prototypes_selected')}
    outer, found, step = {n: [] for n in ('multipliers', 'penalty')}, {}, 0
    count = max(1, len(arrays['support/labels']) // size)
    meta.one_of('batches_per_epoch', [count])
    model.train()
    for epoch in range(meta['epochs']):
        order = golden.tensor('traj/permutation')[epoch]
        if 'traj/half_choice' in arrays:
            order = golden.tensor('traj/half_choice')[epoch][order]
        for batch in order[: count * size].split(size):
            rows['lr'].append(optim.get_lr()['lr'][0])
            losses = model(image[batch], samples(labels[batch], golden.device), mode='loss')
            total, _ = model.parse_losses(losses)
            optim.zero_grad()
            total.backward()
            if step < 2:
                name = ('first', 'second')[step]
                found[f'grad/prototypes_{name}'] = head.prototypes.grad.clone()
            optim.step()
            rows['loss'].append(total.item())
            if step in meta['stored_steps']:
                rows['prototypes_selected'].append(head.prototypes.detach().clone())
            step += 1
        head.end_epoch()
        if getattr(head, 'adaptive', False):
            outer['multipliers'].append(head.multipliers.clone())
            outer['penalty'].append(head.growth.clone())
        schedule.step()
    model.eval()
    rows['prototypes_selected'] = torch.stack(rows['prototypes_selected'])
    found.update({f'traj/{k}': torch.as_tensor(v, dtype=torch.float64) for k, v in rows.items()})
    found.update({f'traj/{k}': torch.stack(v) for k, v in outer.items() if v})
    found['traj/final/prototypes'] = head.prototypes.detach().clone()
    return found
