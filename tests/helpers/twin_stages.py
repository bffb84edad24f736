"""2SFS in plain PyTorch: what a case's settings and inputs give (see twin_files.py)."""

import math

import numpy as np
import torch
import torch.nn.functional as F

from helpers.twin import Clip, token_ids
from helpers.twin_files import below, tensors

TOWERS = dict(vision='visual.', text='')


class Model:
    """The towers with their LayerNorms and, in stage 2, the classifier."""

    def __init__(self, meta, inputs, clip):
        self.meta, self.net = meta, Clip(clip)
        start = {**below(inputs, 'fixed/'), **below(inputs, 'param/')}
        self.classifier = start.pop('classifier', None)
        self.net.w.update(start)

    def names(self):
        """The LayerNorms that stage 1 learns."""
        modality, found = self.meta.get('ln_modality'), []
        for tower, prefix in TOWERS.items():
            if modality in (tower, 'both'):
                blocks = range(
                    self.meta[f'ln_{tower}_start'], self.net.layers(f'{prefix}transformer')
                )
                found += [
                    f'{prefix}transformer.resblocks.{i}.ln_{n}.{kind}'
                    for i in blocks
                    for n in (1, 2)
                    for kind in ('weight', 'bias')
                ]
        return found

    def learnt(self):
        """What the present stage learns, by name."""
        if self.classifier is not None:
            self.classifier = self.classifier.detach().clone().requires_grad_()
            return dict(classifier=self.classifier)
        for name in self.names():
            self.net.w[name] = self.net.w[name].detach().clone().requires_grad_()
        return {name: self.net.w[name] for name in self.names()}

    def prompts(self, names):
        return self.net.prompts(self.meta['template'], classes=names)

    def text(self, names):
        return self.net.text(self.prompts(names))

    def logits(self, images):
        rows = self.classifier
        if rows is None:
            rows = self.text(self.meta['class_names'])
        return self.net.logits(self.net.image(images), rows)

    def one_pass(self, images, labels):
        """Outputs, loss and gradients."""
        learnt = self.learnt()
        text = self.text(self.meta['class_names'])
        logits = self.logits(images)
        loss = F.cross_entropy(logits, labels)
        grads = torch.autograd.grad(loss, [*learnt.values()])
        return {
            'out/image_features': self.net.image(images),
            'out/text_features': text,
            'out/logits': logits,
            'loss/total': loss,
            'loss/ce_logits': loss,
            **{f'grad/{n}': g for n, g in zip(learnt, grads)},
        }

    def train(self, batches, order, stage):
        """Learn from some batches: by step, batch, stage, rate, loss and accuracy."""
        plan, params, rows = self.meta['trajectory'], self.learnt(), []
        steps = len(order)
        optim = torch.optim.AdamW(params.values(), lr=1.0, **plan['adamw'])
        low, base = plan['minimum_lr'], plan['base_lr']
        for step, place in enumerate(order):
            images, labels = batches[place]
            rate = low + (base - low) / 2 * (1 + math.cos(math.pi * step / steps))
            logits = self.logits(images)
            loss = F.cross_entropy(logits, labels)
            right = 100 * (logits.argmax(1) == labels).double().mean().item()
            rows.append((place, stage, rate, loss.item(), right))
            for p, grad in zip(params.values(), torch.autograd.grad(loss, [*params.values()])):
                p.grad = grad
            optim.param_groups[0]['lr'] = rate
            optim.step()
        return rows

    def infer(self, names, images):
        """Selective inference: the matrix, its rows of known names from training."""
        known = self.meta['class_names']
        rows = [self.classifier[known.index(n)] if n in known else self.text([n])[0] for n in names]
        matrix = F.normalize(torch.stack(rows), dim=-1)
        return self.net.logits(self.net.image(images), matrix), matrix


def columns(rows, names):
    """The run's records as arrays."""
    every = dict(zip(('batch_index', 'stage', 'lr', 'loss', 'accuracy'), zip(*rows)))
    return {f'traj/{n}': np.array(every[n]) for n in names}


def two_stage(meta, arrays, clip):
    """All outputs of a case, and its settings with those that follow from others."""
    inputs = tensors(arrays)
    model, alone = Model(meta, inputs, clip), 'stage' in meta
    batches = list(zip(inputs['traj/images'], inputs['traj/labels']))
    found = model.one_pass(inputs['images'], inputs['labels'])
    for name, states in (('block_{}_cls', 'class_tokens'), ('text_block_{}_eot', 'text_ends')):
        found.update({f'mid/{name}'.format(i): t for i, t in enumerate(getattr(model.net, states))})
    found['tok/template_prompts'] = token_ids(model.prompts(meta['class_names']))
    if meta.get('stage') == 2:
        found['init/classifier'] = F.normalize(found['out/text_features'], dim=-1)
    shapes = {n: [*t.shape] for n, t in model.learnt().items()}
    if alone:
        plan = dict(meta['trajectory'], batches_per_pass=len(batches))
        meta = dict(meta, learnable=shapes, trajectory=plan)
        rows = model.train(batches, order_of(arrays, batches, plan['steps']), meta['stage'])
        found.update(columns(rows, ('batch_index', 'lr', 'loss')))
        found.update({f'traj/final/{n}': p for n, p in final(model).items()})
        found['traj/final_logits'] = torch.stack([model.logits(i) for i, _ in batches])
    else:
        meta = dict(meta, learnable_stage1=shapes, learnable_stage2=dict(classifier=None))
        found.update(both_stages(meta, model, batches, arrays))
        meta['learnable_stage2']['classifier'] = [*model.classifier.shape]
    if model.classifier is not None:
        found.update(inference(meta, model, inputs))
    if 'in_optimiser_but_frozen' in meta:
        meta['in_optimiser_but_frozen'] = visited(meta)
    return meta, found


def final(model):
    """The learnt values as they are."""
    if model.classifier is not None:
        return dict(classifier=model.classifier)
    return {n: model.net.w[n] for n in model.names()}


def order_of(arrays, batches, *steps):
    """The batch of each step: those of the file in any order, or each stage from the first."""
    each = [step % len(batches) for count in steps for step in range(count)]
    return np.array(arrays.get('traj/batch_index', each))


def both_stages(meta, model, batches, arrays):
    """A whole run; the settings get the numbers of steps."""
    plan = dict(meta['trajectory'], batches_per_pass=len(batches))
    plan['total_steps'] = plan['n_iters'] * plan['shots']
    plan['stage1_steps'] = int(plan['n_iters_frac'] * plan['total_steps'])
    plan['stage2_steps'] = plan['total_steps'] - plan['stage1_steps']
    meta['trajectory'] = plan
    first = plan['stage1_steps']
    order = order_of(arrays, batches, first, plan['stage2_steps'])
    rows = model.train(batches, order[:first], 1)
    found = {f'traj/after_stage1/{n}': p for n, p in final(model).items()}
    model.classifier = F.normalize(model.text(meta['class_names']), dim=-1).detach()
    found['stage2/init/classifier'] = model.classifier
    switch = batches[order[first]]
    found.update({f'stage2/{k}': v for k, v in model.one_pass(*switch).items()})
    rows += model.train(batches, order[first:], 2)
    found.update(columns(rows, ('batch_index', 'stage', 'lr', 'loss', 'accuracy')))
    found['traj/final/classifier'] = model.classifier
    return found


@torch.no_grad()
def inference(meta, model, inputs):
    """Logits of every list of classes; the settings get the accuracies."""
    found, whole = {}, 'stage' not in meta
    lists = dict(new=meta.get('new_class_names'), mixed=meta.get('mixed_categories'))
    lists['test' if whole else 'seen'] = meta['class_names']
    for name, classes in lists.items():
        if not classes:
            continue
        place = ('test' if name == 'test' else 'test_new') + '/' if whole else ''
        logits, matrix = model.infer(classes, inputs[f'{place}images'])
        found.update({f'out/{name}_logits': logits, f'out/{name}_classifier': matrix})
        if name == 'new':
            found['tok/new_template_prompts'] = token_ids(model.prompts(classes))
        if whole and name != 'mixed':
            right = (logits.argmax(1) == inputs[f'{place}labels']).double().mean().item()
            both = meta['setting'] == 'base2new'
            key = dict(test='acc_test_base', new='acc_test_new')[name] if both else 'acc_test'
            meta['accuracies'] = dict(meta['accuracies'], **{key: 100 * right})
    return found


def visited(meta):
    """LayerNorms outside the blocks that the optimiser knows of."""
    starts = {t: meta[f'ln_{t}_start'] for t in TOWERS if meta['ln_modality'] in (t, 'both')}
    names = [*['visual.ln_post'] * ('vision' in starts), *['ln_final'] * ('text' in starts)]
    if starts.get('vision') == 0:
        names.append('visual.ln_pre')
    return sorted(f'{n}.{kind}' for n in names for kind in ('weight', 'bias'))
