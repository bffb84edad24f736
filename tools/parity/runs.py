"""Training runs and gradient rules of the methods beside CoOp and DPT."""

import re
from types import SimpleNamespace

import torch
from mmengine.optim import build_optim_wrapper
from mmpretrain.registry import PARAM_SCHEDULERS
from mmpretrain.structures import DataSample

from mmdpt.engine import GaussianAggregationHook
from mmdpt.models.reference_names import rules_of
from mmdpt.models.reference_names import to_reference

from .feature_space import labelled, space_of, unit
from .golden import Golden
from .probe import probe
from .settings import NotImplementedCase


def renamed(golden: Golden, tensors: dict) -> dict:
    """Our learnt tensors, detached copies, by the reference's names."""
    theirs = to_reference(tensors, rules_of(golden.meta['method']))
    return {n: t.detach().clone() for n, t in theirs.items()}


def samples(labels, device: str = 'cpu') -> list:
    return [DataSample().set_gt_label(int(label)).to(device) for label in labels]


def learnt(model) -> dict:
    return {n: p for n, p in model.named_parameters() if p.requires_grad}


def prograd(golden: Golden, model) -> dict:
    """Both losses, their gradients, and what the optimizer gets."""
    model.train()
    optim = build_optim_wrapper(
        model,
        dict(
            type='ProGradOptimWrapper',
            strength=golden.meta['LAMBDA'],
            constructor='PromptOptimWrapperConstructor',
            optimizer=dict(type='SGD', lr=1.0),
        ),
    )
    losses = model.loss(golden.images(), samples(golden.arrays['labels'], golden.device))
    pair, _ = model.parse_losses(losses)
    found = {'loss/ce_logits': pair[0], 'loss/kl': pair[1]}
    optim.backward(pair)
    task = {n: p.grad.clone() for n, p in learnt(model).items()}
    general = dict(zip(task, optim._general))
    optim.apply_rule()
    grads = {n: p.grad for n, p in learnt(model).items()}
    for key, tensors in dict(grad_ce=task, grad_kl=general, grad=grads).items():
        found.update({f'{key}/{n}': t for n, t in renamed(golden, tensors).items()})
    found['out/gradient_cosine'] = torch.cosine_similarity(
        *(torch.cat([t.flatten() for t in g.values()]) for g in (task, general)), dim=0
    )
    return found


def warm_cosine(optim, epochs: int, warmup_epochs: int, warmup_lr: float):
    """The schedule of Dassl: a constant warm-up, then a cosine."""
    return PARAM_SCHEDULERS.build(
        dict(
            type='ConstantWarmupCosineLR',
            end=epochs,
            warmup_epochs=warmup_epochs,
            warmup_lr=warmup_lr,
        ),
        default_args=dict(optimizer=optim),
    )


def promptsrc(golden: Golden, model) -> dict:
    """Train, add the epochs up with our hook, and predict."""
    plan = golden.meta['trajectory']
    optim = build_optim_wrapper(
        model,
        dict(
            constructor='PromptOptimWrapperConstructor',
            optimizer=dict(type='SGD', lr=plan['base_lr'], **plan['sgd']),
        ),
    )
    schedule = warm_cosine(optim, plan['epochs'], plan['warmup_epochs'], plan['warmup_constant_lr'])
    hook = GaussianAggregationHook(golden.meta['gpa_mean'], golden.meta['gpa_std'])
    runner = SimpleNamespace(model=model, epoch=0, max_epochs=plan['epochs'])
    hook.before_train(runner)
    model.zero_grad()
    model.train()
    images = golden.images('traj/images')
    check_passes(plan, images)
    check_schedule(plan)
    found = {f'traj/{n}': [] for n in ('lr', 'loss', 'terms')}
    for runner.epoch in range(plan['epochs']):
        model.head.set_epoch(runner.epoch)
        found['traj/lr'].append(optim.get_lr()['lr'][0])
        loss, terms = [], []
        for batch, labels in zip(images, golden.arrays['traj/labels']):
            with probe(model) as seen:
                logs = model.train_step(dict(inputs=batch, data_samples=samples(labels)), optim)
            loss.append(logs['loss'].item())
            terms.append([seen.terms[t.replace('ce_', '')][1].item() for t in plan['loss_terms']])
        found['traj/loss'].append(loss)
        found['traj/terms'].append(terms)
        schedule.step()
        last = renamed(golden, learnt(model))
        hook.after_train_epoch(runner)
    found = {key: torch.tensor(v, dtype=torch.float64) for key, v in found.items()}
    found['traj/gpa_weights'] = torch.tensor(hook.weights, dtype=torch.float64)
    found.update({f'traj/last/{n}': t for n, t in last.items()})
    found.update({f'traj/final/{n}': t for n, t in renamed(golden, learnt(model)).items()})
    with torch.no_grad():
        found['traj/final_logits'] = torch.stack([model(i) for i in images])
    return found


def lowest_rate(plan: dict) -> float:
    """Where the cosine ends, which the file says in words or as a number."""
    if 'minimum_lr' in plan:
        return plan['minimum_lr']
    found = re.search(r'minimum (\d[\d.e-]*)', plan['schedule'])
    if not found or not plan['schedule'].startswith('cosine per step'):
        raise NotImplementedCase(f'schedule {plan["schedule"]!r}')
    return float(found[1])


def check_passes(plan: dict, images) -> None:
    """Raise unless the file holds the batches of exactly one pass."""
    for key in ('iterations_per_epoch', 'iterations_per_pass'):
        plan.one_of(key, [len(images)])


def check_schedule(plan: dict) -> None:
    """Raise unless the rates of a run by epochs follow ``README.md``."""
    plan.one_of('schedule', ['see lr_schedule.json', 'cosine, see README.md'])


def by_step(golden: Golden, model) -> dict:
    """AdamW with a cosine that moves in every step."""
    plan = golden.meta['trajectory']
    images, labels = golden.images('traj/images'), golden.arrays['traj/labels']
    check_passes(plan, images)
    steps = plan.get('total_iterations') or plan['epochs'] * len(images)
    optim = build_optim_wrapper(
        model,
        dict(
            constructor='PromptOptimWrapperConstructor',
            optimizer=dict(type='AdamW', lr=plan['base_lr'], **plan['adamw']),
        ),
    )
    schedule = PARAM_SCHEDULERS.build(
        dict(type='CosineAnnealingLR', T_max=steps, eta_min=lowest_rate(plan), by_epoch=False),
        default_args=dict(optimizer=optim),
    )
    model.zero_grad()
    model.train()
    rates, losses = [], []
    for step in range(steps):
        rates.append(optim.get_lr()['lr'][0])
        batch = step % len(images)
        logs = model.train_step(
            dict(inputs=images[batch], data_samples=samples(labels[batch])), optim
        )
        losses.append(logs['loss'].item())
        schedule.step()
    found = {
        'traj/lr': torch.tensor(rates, dtype=torch.float64),
        'traj/loss': torch.tensor(losses, dtype=torch.float64),
    }
    found.update({f'traj/final/{n}': t for n, t in renamed(golden, learnt(model)).items()})
    model.eval()
    with torch.no_grad():
        found['traj/final_logits'] = torch.stack([model(i) for i in images])
    return found


@torch.no_grad()
def tip_adapter(golden: Golden, model) -> dict:
    """The cache, its logits, and the search."""
    meta, head = golden.meta, model.head
    space, match = space_of(golden, model, 'augment_epochs'), labelled(golden, model).match
    head.fit(space)
    affinity = head.affinity(match.image)
    found = {
        'out/cache_keys': head.keys.detach().t(),
        'out/cache_values': head.values(),
        'out/affinity': affinity,
        'out/cache_logits': head.cache_logits(affinity, head.beta),
        'out/logits': head(match),
    }
    with model.zero_shot():
        found['out/zeroshot_logits'] = model(golden.images())
    val = space.val()
    found['out/val_features'] = unit(val.match.image)
    result = head.search(val, meta['search_scale'], meta['search_step'])
    found['search/accuracy'] = result.accuracy
    found['search/beta_alpha'] = torch.tensor([*result.values.values()], dtype=torch.float64)
    found['out/logits_searched'] = head(match)
    return found
