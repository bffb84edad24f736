"""SkipTuning in plain PyTorch, for case files (see twin.py)."""

import math

import numpy as np
import torch
import torch.nn.functional as F

from helpers.twin import Clip, token_ids
from helpers.twin_draw import Draw, settings
from helpers.twin_files import random_clip, save
from helpers.twin_run import rate

LARGE = 20_000
BEHIND = ('visual.ln_post.', 'visual.proj', 'ln_final.', 'text_projection')


def always_kept(meta):
    """R, by which ranks below count."""
    classes, share = len(meta['class_names']), meta['top_ratio']
    number = math.ceil(share * classes if share <= 1 else min(share, classes))
    return min(number, meta['max_top'])


def skips(meta):
    return meta['top_ratio'] != 1 and always_kept(meta) < len(meta['class_names'])


def draw_mask(meta, random):
    """By rank, drawn once."""
    first, classes = always_kept(meta), len(meta['class_names'])
    e = np.exp(-np.linspace(0, 5, classes - first) / meta['lambda_']) / meta['lambda_']
    with np.errstate(invalid='ignore'):  # of one, 0 by 0
        chances = [1.0] * first + [*((e - e.min()) / (e.max() - e.min()))]
    return random.random(classes) < chances


def kept_classes(similarity, labels, mask):
    """In ascending order."""
    similarity = similarity.detach().clone()
    similarity[range(len(labels)), labels] = 10_000
    order = similarity.max(0).values.argsort(descending=True)
    return order[torch.from_numpy(mask)].sort().values


class Model:
    """The towers, whose upper parts learn.

    ``learnt`` holds tensors by the reference's names.
    """

    def __init__(self, clip, meta):
        self.net, self.meta = Clip(clip[1]), meta
        first, w, self.learnt = meta['start_layer'], self.net.w, {}
        for name in w:
            block = name.split('resblocks.')[-1].split('.')[0]
            upper = int(block) >= first if 'resblocks.' in name else name.startswith(BEHIND)
            if upper:
                w[name] = w[name].clone().requires_grad_()
                image = name.startswith('visual.')
                theirs = 'image_encoder.' + name[7:] if image else 'text_encoder.' + name
                self.learnt[theirs] = w[name]
        self.prompts = self.net.prompts(meta['template'], classes=meta['class_names'])
        with torch.no_grad():
            self.prototypes = F.normalize(self.net.text(self.prompts), dim=-1)

    def step(self, images, labels, mask):
        """What the loss of a batch comes from, by the file's keys."""
        image = self.net.image(images)
        similarity = F.normalize(image, dim=-1) @ self.prototypes.T
        kept = torch.arange(len(self.prompts))
        if mask is not None:
            kept = kept_classes(similarity, labels, mask)
        text = self.net.text([self.prompts[c] for c in kept])
        logits = self.net.logits(image, text)
        new = (kept == labels[:, None]).long().argmax(1)  # 0 of one that is left out
        loss = F.cross_entropy(logits, new)
        return {
            'mid/similarity': similarity,
            'out/image_features': image,
            'out/text_features': text,
            'out/kept_classes': kept,
            'out/remapped_labels': new,
            'out/logits': logits,
            'loss/total': loss,
            'loss/ce_logits': loss,
        }


def held(tensors, whole, part, norm, since=None):
    """As the file holds tensors: of large ones two rows and the norm."""
    found = {}
    for name, tensor in tensors.items():
        if tensor.numel() <= LARGE:
            found[f'{whole}/{name}'] = tensor.clone()
            continue
        found[f'{part}/{name}'] = tensor[:2].clone()
        found[f'{norm}/{name}'] = (tensor - since[name] if since else tensor).norm()
    return found


def at_start(model, cache, images, labels, mask):
    """The cached layer, and the first step without its update."""
    net, first = model.net, model.meta['start_layer']
    with torch.no_grad():
        net.image(cache), net.text(model.prompts)
        cls = net.w['visual.class_embedding'] + net.w['visual.positional_embedding'][0]
        ends = [x[-1] + net.w['positional_embedding'][len(x) - 1] for x, _ in model.prompts]
        entering = net.norm('visual.ln_pre', cls).expand(len(cache), -1), torch.stack(ends)
    found = {
        'out/class_prototypes': model.prototypes,
        'cache/image_features_cls': [entering[0], *net.class_tokens][first],
        'cache/text_features_eot': [entering[1], *net.text_ends][first],
    }
    found |= model.step(images, labels, mask)
    for key, states in (
        ('mid/block_{}_cls', net.class_tokens),
        ('mid/text_block_{}_eot', net.text_ends),
    ):
        found |= {key.format(i): states[i] for i in range(first, len(states))}
    grads = dict(
        zip(model.learnt, torch.autograd.grad(found['loss/total'], [*model.learnt.values()]))
    )
    return found | held(grads, 'grad', 'grad_part', 'grad_norm')


def train(model, arrays, mask):
    """The run of ``meta.trajectory``."""
    plan, learnt = model.meta['trajectory'], model.learnt
    start = {n: t.detach().clone() for n, t in learnt.items()}
    groups, bases = [''], [plan['base_lr']]
    if plan['staged_lr']:
        groups, bases = ['text_encoder', 'image_encoder'], [*bases, plan['image_tower_lr']]
    optims = [
        torch.optim.SGD([t for n, t in learnt.items() if n.startswith(g)], 1.0, **plan['sgd'])
        for g in groups
    ]
    rates, losses, kept = [], [], []
    views = torch.from_numpy(arrays['cache/images']).double()
    labels = torch.from_numpy(arrays['cache/labels'])
    for epoch, batches in enumerate(arrays['traj/batch_index']):
        rates.append([rate(plan, epoch, base, plan['warmup_epochs']) for base in bases])
        for index in batches:
            found = model.step(views[epoch][index], labels[index], mask)
            losses.append(found['loss/total'].item())
            kept.append(found['out/kept_classes'].numpy())
            for optim, value in zip(optims, rates[-1]):
                optim.param_groups[0]['lr'] = value
                optim.zero_grad()
            found['loss/total'].backward()
            for optim in optims:
                optim.step()
    with torch.no_grad():
        image = model.net.image(torch.from_numpy(arrays['test/images']).double())
        logits = model.net.logits(image, model.net.text(model.prompts))
    shape = arrays['traj/batch_index'].shape[:2]
    final = {n: t.detach() for n, t in learnt.items()}
    return {
        'traj/lr': np.array(rates),
        'traj/loss': np.array(losses).reshape(shape),
        'traj/kept_classes': np.array(kept).reshape(*shape, -1),
        'traj/final_test_logits': logits,
        **held(final, 'traj/final', 'traj/final_part', 'traj/change_norm', start),
    }


def recompute(clip, meta, arrays):
    """The shapes of what is learnt, and all that follows from a file's inputs, by key.

    Args:
        clip (tuple): Meta and arrays of the CLIP.
        meta (dict): The case's.
        arrays (dict): Its inputs.
    """
    model, mask = Model(clip, meta), arrays.get('skip/reserve_mask')
    images = torch.from_numpy(arrays['images']).double()
    cache = torch.from_numpy(arrays['cache/images'][0]).double()
    return {n: list(t.shape) for n, t in model.learnt.items()}, {
        'tok/template_prompts': token_ids(model.prompts),
        **at_start(model, cache, images, torch.from_numpy(arrays['labels']), mask),
        **train(model, arrays, mask),
    }


def batches(labels, size, epochs, single, random):
    """Indices (epochs, iterations, B): of one class each, or of any."""
    found = []
    for _ in range(epochs):
        groups = [np.flatnonzero(labels == c) for c in np.unique(labels)]
        groups = groups if single else [np.arange(len(labels))]
        chunks = []
        for group in map(random.permutation, groups):
            chunks += [group[i : i + size] for i in range(0, len(group) - size + 1, size)]
        found.append(random.permutation(chunks))
    return np.array(found)


def skiptuning(folder, plan, per_class=3, sizes=None, seed=1, like='skiptuning', **changes):
    """Write a case like one of the reference's files, with other settings.

    Args:
        folder (Path): Where to.
        plan (dict): Changes of the run.
        per_class (int): Number of images.
        sizes (dict, optional): Of the CLIP.
        seed (int): Of everything random.
        like (str): The file.
        **changes: Of the other settings.
    """
    meta = settings(like, plan, dict(changes, clip='clip.npz', images_per_class=per_class))
    clip, random = random_clip(seed, **(sizes or {})), np.random.default_rng(seed)
    draw, side, plan = Draw(seed), clip[0]['arch']['image'], meta['trajectory']
    single = meta['num_shots_setting'] >= 4
    labels = np.tile(np.arange(len(meta['class_names'])), per_class)
    index = batches(labels, meta['batch'], plan['epochs'], single, random)
    views = draw(plan['epochs'], len(labels), 3, side, side)
    plan.update(
        iterations_per_epoch=index.shape[1],
        lr_groups=['base', 'new'] if plan['staged_lr'] else ['all'],
    )
    meta.update(
        image_size=side,
        logit_scale=float(np.exp(float(clip[1]['logit_scale']))),
        batch_mode='batch_random' if single else 'random',
        n_kept_first=always_kept(meta),
    )
    given = {
        'cache/images': views,
        'cache/labels': labels,
        'test/images': draw(3, 3, side, side),
        'traj/batch_index': index,
        'images': views[0][index[0, 0]],
        'labels': labels[index[0, 0]],
    }
    if skips(meta):
        given['skip/reserve_mask'] = draw_mask(meta, random)
    meta['learnable'], found = recompute(clip, meta, given)
    save(folder / 'clip.npz', *clip)
    save(folder / 'case.npz', meta, {**given, **found})
