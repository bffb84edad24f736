"""Training runs with SGD, of one or several optimisers."""

from collections.abc import Callable

import numpy as np
import torch
from mmengine.optim import build_optim_wrapper
from mmpretrain.evaluation import Accuracy

from mmdpt.models.reference_names import rules_of
from mmdpt.engine.schedule import constant_warmup_cosine
from mmdpt.models.reference_names import to_reference

from . import inserted, runs
from .golden import Golden
from .probe import Probe, probe
from .runs import check_passes, check_schedule, samples
from .settings import NotImplementedCase, Settings


def run_of(golden: Golden) -> Callable:
    """The function that repeats a case's training run."""
    if 'adamw' in golden.meta['trajectory']:
        return runs.by_step
    return runs.promptsrc if 'gpa_mean' in golden.meta else trajectory


def trajectory(golden: Golden, model) -> dict:
    """Train as ``meta.trajectory`` says, through MMEngine's own machinery."""
    plan = golden.meta['trajectory']
    optim, schedule = optimisation(plan, model, wrapper(golden.meta))
    if 'guided_epochs_C' in plan:
        model.head.guided_epochs = plan['guided_epochs_C']
    model.zero_grad()
    model.train()
    images, labels = golden.images('traj/images'), golden.arrays['traj/labels']
    check_passes(plan, images)
    check_schedule(plan)
    rates, total, terms, accuracy = [], [], [], []
    names = [t.replace('ce_', '') for t in plan.get('loss_terms', [])]
    judged = plan.get('accuracy_from', 'logits')
    for epoch in range(plan['epochs']):
        model.head.set_epoch(epoch)
        rates.append(group_rates(plan, model, optim, epoch))
        for batch, label in zip(images, labels):
            with probe(model) as seen:
                logs = model.train_step(dict(inputs=batch, data_samples=samples(label)), optim)
            total.append(logs['loss'].item())
            terms.append([loss_term(n, seen, logs) for n in names])
            prediction = final_scores(model, seen.match)[judged].argmax(1)
            accuracy.append(percent(prediction, label, exact='accuracy_from' in plan))
        schedule.step()
    steps = (plan['epochs'], len(images))
    if golden.arrays['traj/loss'].ndim == 1:  # the file counts the steps, not the epochs
        rates, steps = np.repeat(rates, len(images), 0), (-1,)
    found = {
        'traj/lr': np.array(rates),
        'traj/loss': np.array(total).reshape(steps),
        'traj/terms': np.array(terms).reshape(plan['epochs'], len(images), -1),
        'traj/accuracy': np.array(accuracy).reshape(plan['epochs'], len(images)),
    }
    found.update(
        {
            f'traj/final/{n}': p.detach()
            for n, p in to_reference(model.state_dict(), rules_of(golden.meta['method'])).items()
        }
    )
    with torch.no_grad():
        last = [final_scores(model, model.match(i)) for i in images]
    found.update({f'traj/final_{k}': torch.stack([s[k] for s in last]) for k in last[0]})
    return found


def wrapper(meta: Settings) -> dict:
    """The optimizer's wrapper. ProGrad's follows the first loss, which is
    ``traj/loss``; decay and momentum come after its rule."""
    if meta['method'] == 'ProGrad':
        return dict(type='ProGradOptimWrapper', strength=meta['LAMBDA'])
    return {}


def loss_term(name: str, seen: Probe, logs: dict) -> float:
    """An unweighted term of the loss, or one beside it (ProGrad's second);
    NaN where the epoch has none of this name."""
    if name in seen.terms:
        return seen.terms[name][1].item()
    return logs[name].item() if name in logs else np.nan


def percent(prediction: torch.Tensor, label: np.ndarray, exact: bool) -> float:
    """Accuracy; the first files hold it as MMPretrain's metric gives it, in
    single precision."""
    if not exact:
        return float(Accuracy.calculate(prediction, label))
    return 100 * float((prediction.cpu().numpy() == label).mean())


def final_scores(model, match) -> dict:
    """The logits of a case by their names in the file."""
    if not hasattr(model.head, 'token_logits'):
        return dict(logits=model.head(match))
    return {k[len('out/') :]: v for k, v in inserted.scores(model, match).items()}


# The reference's optimisers by their parts of our model.
_PARTS = {
    'image_encoder.transformer.ctx_learner': 'visual_prompt.tokens',
    'image_encoder.transformer.extractor': 'visual_prompt.layers',
    'prompt_learner': 'text_prompt',
}


def optimisation(plan: dict, model, wrapper: dict):
    """One SGD with a group a part, or with one group, and our schedule."""
    base, groups, warmup = plan['base_lr'], {}, plan['warmup_epochs']
    if 'optimisers' in plan:
        groups = {
            _PARTS[name]: dict(lr_mult=rate / base[0], warmup_epochs=epochs)
            for name, rate, epochs in zip(plan['optimisers'], base, warmup)
            if any(_PARTS[name] in learnt for learnt, _ in model.named_parameters())
        }
        base, warmup = base[0], 0  # each group has its own
    if 'optimiser' in plan:
        options = dict(plan['optimiser'])
        decay = options.pop('decay', None)
        kind = options.pop('name')
        if (kind == 'Adam') != (decay == 'added to the gradient'):
            raise NotImplementedCase(f'{kind} with the decay {decay}')
    else:
        kind, options = 'SGD', plan['sgd']
    optim = build_optim_wrapper(
        model,
        dict(
            wrapper,
            constructor='PromptOptimWrapperConstructor',
            optimizer=dict(type=kind, lr=base, **options),
            paramwise_cfg=dict(custom_keys=groups),
        ),
    )
    schedule = runs.warm_cosine(optim, plan['epochs'], warmup, plan['warmup_constant_lr'])
    return optim, schedule


def group_rates(plan: dict, model, optim, epoch: int) -> list:
    """Learning rate in force of each of the reference's optimisers."""
    if 'optimisers' not in plan:
        return optim.get_lr()['lr'][0]
    names = {id(p): n for n, p in model.named_parameters()}
    rates = {}
    for group in optim.optimizer.param_groups:
        for p in group['params']:
            for theirs, ours in _PARTS.items():
                if names[id(p)].startswith(ours):
                    rates[theirs] = group['lr']
    for name, base, warmup in zip(plan['optimisers'], plan['base_lr'], plan['warmup_epochs']):
        if name not in rates:  # it has nothing to learn: no block takes plain prompts
            low = plan['warmup_constant_lr']
            rates[name] = constant_warmup_cosine(epoch, base, plan['epochs'], warmup, low)
    return [rates[name] for name in plan['optimisers']]
