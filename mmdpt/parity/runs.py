"""Training runs and gradient rules of the methods beside CoOp and DPT."""
from types import SimpleNamespace

import torch
from mmengine.logging import MessageHub
from mmengine.optim import build_optim_wrapper
from mmpretrain.registry import PARAM_SCHEDULERS
from mmpretrain.structures import DataSample

from mmdpt.engine import GaussianAggregationHook
from mmdpt.models.reference_names import rules_of, to_reference

from .golden import Golden
from .probe import probe


def renamed(golden: Golden, tensors: dict) -> dict:
    """Our learnt tensors, detached copies, by the reference's names."""
    theirs = to_reference(tensors, rules_of(golden.meta['method']))
    return {n: t.detach().clone() for n, t in theirs.items()}


def samples(labels) -> list:
    return [DataSample().set_gt_label(int(label)) for label in labels]


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
            optimizer=dict(type='SGD', lr=1.)))
    losses = model.loss(golden.images(), samples(golden.arrays['labels']))
    pair, _ = model.parse_losses(losses)
    found = {'loss/ce_logits': pair[0], 'loss/kl': pair[1]}
    optim.backward(pair)
    task = {n: p.grad.clone() for n, p in learnt(model).items()}
    general = dict(zip(task, optim._general))
    optim.apply_rule()
    grads = {n: p.grad for n, p in learnt(model).items()}
    for key, tensors in dict(
            grad_ce=task, grad_kl=general, grad=grads).items():
        found.update({f'{key}/{n}': t
                      for n, t in renamed(golden, tensors).items()})
    found['out/gradient_cosine'] = torch.cosine_similarity(
        *(torch.cat([t.flatten() for t in g.values()])
          for g in (task, general)), dim=0)
    return found


def promptsrc(golden: Golden, model) -> dict:
    """Train, add the epochs up with our hook, and predict."""
    plan = golden.meta['trajectory']
    optim = build_optim_wrapper(
        model,
        dict(
            constructor='PromptOptimWrapperConstructor',
            optimizer=dict(type='SGD', lr=plan['base_lr'], **plan['sgd'])))
    schedule = PARAM_SCHEDULERS.build(
        dict(
            type='ConstantWarmupCosineLR',
            end=plan['epochs'],
            warmup_epochs=plan['warmup_epochs'],
            warmup_lr=plan['warmup_constant_lr']),
        default_args=dict(optimizer=optim))
    hook = GaussianAggregationHook(golden.meta['gpa_mean'],
                                   golden.meta['gpa_std'])
    runner = SimpleNamespace(model=model, epoch=0, max_epochs=plan['epochs'])
    hook.before_train(runner)
    model.zero_grad()
    model.train()
    images = golden.images('traj/images')
    found = {f'traj/{n}': [] for n in ('lr', 'loss', 'terms')}
    for runner.epoch in range(plan['epochs']):
        MessageHub.get_current_instance().update_info('epoch', runner.epoch)
        found['traj/lr'].append(optim.get_lr()['lr'][0])
        loss, terms = [], []
        for batch, labels in zip(images, golden.arrays['traj/labels']):
            with probe(model) as seen:
                logs = model.train_step(
                    dict(inputs=batch, data_samples=samples(labels)), optim)
            loss.append(logs['loss'].item())
            terms.append([seen.terms[t.replace('ce_', '')][1].item()
                          for t in plan['loss_terms']])
        found['traj/loss'].append(loss)
        found['traj/terms'].append(terms)
        schedule.step()
        last = renamed(golden, learnt(model))
        hook.after_train_epoch(runner)
    found = {key: torch.tensor(v, dtype=torch.float64)
             for key, v in found.items()}
    found['traj/gpa_weights'] = torch.tensor(
        hook.weights, dtype=torch.float64)
    found.update({f'traj/last/{n}': t for n, t in last.items()})
    found.update({f'traj/final/{n}': t
                  for n, t in renamed(golden, learnt(model)).items()})
    with torch.no_grad():
        found['traj/final_logits'] = torch.stack([model(i) for i in images])
    return found
