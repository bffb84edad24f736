"""Recompute a case of SkipTuning: kept states, skipped classes, a training run."""

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.optim import build_optim_wrapper

from mmdpt.models.clip.packed_text import constant_states
from mmdpt.models.heads.class_skipping import chances

from . import methods, runs
from .golden import Golden, build_model, to_arrays
from .parts import depths
from .probe import probe
from .settings import NotImplementedCase

FIRST_ROWS = 2  # what the files hold of large tensors
ROUNDING = 2**-24  # of a number in single precision, at most
DESCRIBED = ('learnable', 'start_values', 'large_tensors', 'images_per_class')  # by the arrays


def parts(golden: Golden) -> dict:
    """Our config of the case."""
    meta = golden.meta
    meta.one_of('drop_ratio', [0.0])  # of tokens
    depth = min(depths(golden).values())
    if meta['start_layer'] >= depth:
        raise NotImplementedCase(
            f'start_layer={meta["start_layer"]} in a tower of {depth} blocks: no block would learn'
        )
    for name in DESCRIBED:
        meta.get(name)
    return dict(
        tuning=dict(type='UpperBlocks', first=meta['start_layer']),
        head=dict(
            type='ClassSkippingHead',
            keep=meta['top_ratio'],
            most=meta['max_top'],
            decay=meta['lambda_'],
        ),
    )


def recompute(golden: Golden) -> dict[str, np.ndarray]:
    """Everything that we can say to a case, by the file's keys."""
    model = build_model(golden, **parts(golden))
    set_draw(golden, model.head)
    check_batches(golden, model.head.drawn)
    found = {
        'tok/template_prompts': methods.template_tokens(model)[0],
        **step(golden, model),
        **trajectory(golden, model),
    }
    return to_arrays(found)


def set_draw(golden: Golden, head) -> None:
    """Take the ranks that were drawn from the file."""
    meta, classes = golden.meta, len(head.drawn)
    # With a share of 1 nothing is skipped, whatever the number may be.
    meta.one_of('n_kept_first', [head.always, min(head.always, meta['max_top'])])
    if head.always == classes and 'skip/reserve_mask' not in golden.arrays:
        return  # the reference did not draw
    drawn = golden.tensor('skip/reserve_mask')
    share = chances(classes, head.always, meta['lambda_'])
    if not drawn[share == 1].all() or drawn[share == 0].any():
        raise ValueError('skip/reserve_mask keeps ranks that have no chance, or skips sure ones')
    head.drawn.copy_(drawn)


def check_batches(golden: Golden, drawn: torch.Tensor) -> None:
    """Raise unless the batches are those that the setting makes."""
    meta, arrays = golden.meta, golden.arrays
    mode = meta.one_of('batch_mode', ['batch_random', 'random'])
    if (mode == 'batch_random') != (meta['num_shots_setting'] >= 4):
        raise NotImplementedCase(f'batch_mode={mode!r} with these shots')
    labels = arrays['cache/labels'][arrays['traj/batch_index']]
    if mode == 'batch_random' and (labels != labels[..., :1]).any():
        raise NotImplementedCase('batches of one class that have images of several')
    first = int(drawn.long().cumprod(0).sum())  # so many ranks are kept without a gap
    most = max(len(np.unique(batch)) for batch in labels.reshape(-1, labels.shape[-1]))
    if most > first:
        raise NotImplementedCase(
            f'batches of {most} classes, of which only {first} are surely kept: the reference '
            'counts a label that is left out as class 0'
        )


def step(golden: Golden, model) -> dict:
    """The kept states, and the first step without its update."""
    model.train().zero_grad()
    prototypes = model.frozen_text_features()
    states = model.states(golden.images('cache/images')[0])
    samples = runs.samples(golden.arrays['labels'], golden.device)
    with probe(model) as seen:
        total, _ = model.parse_losses(model.loss(golden.images(), samples))
    total.backward()
    match, head = seen.match, model.head
    kept = torch.as_tensor(match.classes, device=golden.device)
    labels = golden.tensor('labels')
    grads = {n: p.grad for n, p in runs.learnt(model).items()}
    found = {
        'cache/image_features_cls': states[:, 0],
        'cache/text_features_eot': kept_text(model),
        'out/class_prototypes': prototypes,
        'mid/similarity': F.normalize(match.image, dim=-1) @ prototypes.t(),
        'out/image_features': match.image,
        'out/text_features': match.text,
        'out/kept_classes': kept,
        'out/remapped_labels': torch.searchsorted(kept, labels),
        'out/logits': head(match),
        'loss/total': total,
        'loss/ce_logits': total,
        **{f'mid/block_{block}_cls': token for block, token in seen.class_tokens.items()},
        **{f'mid/text_block_{block}_eot': token for block, token in seen.text_ends.items()},
        **large(golden, 'grad', 'grad_part', 'grad_norm', runs.renamed(golden, grads)),
    }
    return {k: v.detach().clone() for k, v in found.items()}


@torch.no_grad()
def kept_text(model) -> torch.Tensor:
    """End of each text, (C, Dt), in the states that are kept."""
    prompts = model.text_prompt()
    packing = prompts.packing
    kept = constant_states(model.text_tower, prompts, model.tuning.text_constant_below)
    return kept[0, packing.last[packing.rank] + packing.prefix.numel()]


def large(golden: Golden, whole: str, part: str, norm: str, tensors: dict, since=None) -> dict:
    """Tensors as the file holds them: whole, or of large ones some rows and the norm.

    Args:
        golden (Golden): The case.
        whole, part, norm (str): What the keys begin with.
        tensors (dict): By the reference's name.
        since (dict, optional): The norm is that of the difference to these.
    """
    found = {}
    for name, tensor in tensors.items():
        if f'{part}/{name}' in golden.arrays:
            found[f'{part}/{name}'] = tensor[:FIRST_ROWS]
            found[f'{norm}/{name}'] = (tensor - since[name] if since else tensor).norm()
        else:
            found[f'{whole}/{name}'] = tensor
    return found


def rates(golden: Golden, model) -> tuple:
    """Optimizer and schedule, with a rate of its own for the image tower."""
    plan = golden.meta['trajectory']
    plan.get('lr_groups_note')
    groups = {}
    if plan['staged_lr']:
        plan.one_of('lr_groups', [['base', 'new']])
        groups['tuning.image'] = dict(lr_mult=plan['image_tower_lr'] / plan['base_lr'])
    else:
        plan.one_of('lr_groups', [['all']])
        plan.get('image_tower_lr')  # of no effect in one group
    optim = build_optim_wrapper(
        model,
        dict(
            constructor='PromptOptimWrapperConstructor',
            optimizer=dict(type='SGD', lr=plan['base_lr'], **plan['sgd']),
            paramwise_cfg=dict(custom_keys=groups),
        ),
    )
    schedule = runs.warm_cosine(
        optim, plan['epochs'], plan['warmup_epochs'], plan['warmup_constant_lr']
    )
    return optim, schedule


def in_force(model, optim) -> list[float]:
    """Rate of the text tower, and of the image tower if it has another group."""
    place = {id(p): group for group in optim.optimizer.param_groups for p in group['params']}
    sides = (model.tuning.text, model.tuning.image)
    groups = [place[id(next(side.parameters()))] for side in sides]
    return [group['lr'] for group in (groups if groups[0] is not groups[1] else groups[:1])]


def loss_by_rounding(before: torch.Tensor, after: torch.Tensor) -> float:
    """How much of a step's norm single precision may lose.

    No entry loses more than its rounding. Where entries move farther, what is rounded up and
    down evens out, and adds to the step as at a right angle.
    """
    rounding, step = ROUNDING * after.norm().item(), (after - before).norm().item()
    return rounding**2 / max(step, rounding)


def trajectory(golden: Golden, model) -> dict:
    """Train on the states of each epoch's views, as :class:`KeptStatesTrainLoop` does."""
    plan, arrays = golden.meta['trajectory'], golden.arrays
    plan.one_of('iterations_per_epoch', [arrays['traj/batch_index'].shape[1]])
    optim, schedule = rates(golden, model)
    start = now = runs.renamed(golden, runs.learnt(model))
    lost = dict.fromkeys(start, 0.0)
    model.train().zero_grad()
    lr, loss, kept = [], [], []
    views = golden.images('cache/images')
    for epoch in range(plan['epochs']):
        lr.append(in_force(model, optim))
        states = model.states(views[epoch])
        for index in arrays['traj/batch_index'][epoch]:
            samples = runs.samples(arrays['cache/labels'][index])
            with probe(model) as seen, optim.optim_context(model):
                losses = model(states[index], samples, mode='loss')
            total, _ = model.parse_losses(losses)
            optim.update_params(total)
            before, now = now, runs.renamed(golden, runs.learnt(model))
            for name, tensor in now.items():
                lost[name] += loss_by_rounding(before[name], tensor)
            loss.append(total.item())
            kept.append(seen.match.classes)
        schedule.step()
    with torch.no_grad():
        logits = model.eval()(golden.images('test/images'))
    return {
        'traj/lr': np.array(lr),
        'traj/loss': np.array(loss).reshape(plan['epochs'], -1),
        'traj/kept_classes': np.array(kept).reshape(plan['epochs'], -1, len(kept[0])),
        **{f'rounding/{name}': norm for name, norm in lost.items()},
        'traj/final_test_logits': logits,
        **large(golden, 'traj/final', 'traj/final_part', 'traj/change_norm', now, start),
    }
