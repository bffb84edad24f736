"""Training runs by epochs in plain PyTorch, for case files (see twin.py)."""

import math

import numpy as np
import torch

from helpers.twin import pictures

KINDS = dict(SGD=torch.optim.SGD, Adam=torch.optim.Adam, AdamW=torch.optim.AdamW)


def plan(**changes):
    """Settings of a run, unlike those of the reference's files."""
    return dict(
        dict(
            epochs=4,
            iterations_per_epoch=2,
            base_lr=0.02,
            warmup_epochs=2,
            warmup_constant_lr=1e-4,
            schedule='cosine, see README.md',
            accuracy_from='logits',
        ),
        **changes,
    )


def rate(plan, epoch, base, warm_up):
    warm_up = max(warm_up, 0)  # -1 says none, too
    if epoch < warm_up:
        return plan['warmup_constant_lr']
    return base / 2 * (1 + math.cos(math.pi * (epoch - warm_up) / plan['epochs']))


def optimizers(plan, groups):
    """One per group of parameters."""
    options = dict(plan.get('optimiser') or dict(plan['sgd'], name='SGD'))
    kind = KINDS[options.pop('name')]
    options.pop('decay', None)  # says in words what the kind does
    return [kind(group, lr=1.0, **options) for group in groups]


def train(plan, params, step, groups=None):
    """Repeat two batches as a plan says.

    Args:
        plan (dict): ``meta.trajectory``.
        params (dict): The start, by name.
        step (callable): Of parameters, images, labels and epoch: the loss,
            its terms by name, the logits by name and, if it is not the loss's
            own, the gradient of each parameter.
        groups (dict, optional): Start of the names that one rate is for.

    Returns:
        dict: What the file holds of it, by key.
    """
    now = {n: p.detach().clone().requires_grad_() for n, p in params.items()}
    split = [[p for n, p in now.items() if n.startswith(g)] for g in groups or ['']]
    optims = optimizers(plan, split)
    bases, warm_ups = plan['base_lr'], plan['warmup_epochs']
    if not groups:
        bases, warm_ups = [bases], [warm_ups]
    batches = [pictures(seed) for seed in (0, 1)]
    rates, losses, terms, accuracy = [], [], [], []
    for epoch in range(plan['epochs']):
        rates.append([rate(plan, epoch, *pair) for pair in zip(bases, warm_ups)])
        for images, labels in batches:
            loss, parts, logits, *own = step(now, images.double(), labels, epoch)
            grads = own[0] if own else torch.autograd.grad(loss, [*now.values()], allow_unused=True)
            losses.append(loss.item())
            terms.append([parts[n].item() if n in parts else np.nan for n in plan['loss_terms']])
            right = logits[plan['accuracy_from']].argmax(1) == labels
            accuracy.append(100 * right.double().mean().item())
            for p, grad in zip(now.values(), grads):
                p.grad = grad
            for optim, value in zip(optims, rates[-1]):
                optim.param_groups[0]['lr'] = value
                optim.step()
    shape = (plan['epochs'], len(batches))
    found = {
        'traj/images': torch.stack([images for images, _ in batches]),
        'traj/labels': torch.stack([labels for _, labels in batches]),
        'traj/lr': np.array(rates if groups else [r for [r] in rates]),
        'traj/loss': np.array(losses).reshape(shape),
        'traj/terms': np.array(terms).reshape(*shape, -1),
        'traj/accuracy': np.array(accuracy).reshape(shape),
        **{f'traj/final/{n}': p for n, p in now.items()},
    }
    last = [step(now, i.double(), t, plan['epochs'])[2] for i, t in batches]
    found.update({f'traj/final_{k}': torch.stack([x[k] for x in last]) for k in last[0]})
    return found
