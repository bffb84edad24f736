"""PromptKD in plain PyTorch: what a case's settings and inputs give (see twin_files.py)."""

import math

import numpy as np
import torch
import torch.nn.functional as F

from helpers.twin import Clip, token_ids
from helpers.twin_files import below, tensors
from helpers.twin_run import optimizers, rate

MOMENTUM = 0.1  # of the running statistics
PROJECTOR = 'VPT_image_trans.conv1'
START = 'init/teacher.prompt_learner.ctx'
NOISE = f'grad/{PROJECTOR}.0.bias'  # zero but for rounding: the batch norm cancels it


def prompts_of(params, tower):
    """The prompts of a tower's blocks, from the first one on that is there."""
    places = (f'{tower}_encoder.transformer.resblocks.{i}.VPT_shallow' for i in range(1, 99))
    first = [params[f'{tower}_encoder.VPT']] if f'{tower}_encoder.VPT' in params else []
    return first + [params[p] for p in places if p in params]


class Teacher:
    """CLIP with prompts in both towers."""

    def __init__(self, meta, inputs, clip):
        self.net, params = Clip(clip), below(inputs, 'teacher/')
        count, words = meta['teacher_n_ctx_text'], meta['ctx_init']
        few = bool(words) and count <= 4
        words = words.replace('_', ' ') if few else ' '.join(['X'] * count)
        names, context = meta['class_names'], params['prompt_learner.ctx']
        prompts = self.net.prompts(f'{words} {{}}.', context, names)
        self.ids = token_ids(prompts)
        embedding = self.net.w['token_embedding.weight']
        self.start = embedding[self.ids[0, 1 : 1 + count]].float() if few else None  # random
        self.raw = self.net.text(prompts, prompts_of(params, 'text'))
        self.text, self.prompts = F.normalize(self.raw, dim=-1), prompts_of(params, 'image')

    def image(self, images):
        return self.net.image(images, self.prompts, pre_norm=True)

    def logits(self, images):
        return self.net.logits(self.image(images), self.text)


class Student:
    """Prompts in the image tower, and the projector."""

    def __init__(self, meta, inputs, clip, teacher):
        self.meta, self.net, self.teacher = meta, Clip(clip), teacher
        self.params = {n: p.clone().requires_grad_() for n, p in below(inputs, 'param/').items()}
        self.running = {n: t.clone() for n, t in below(inputs, 'buffer/').items()}

    def linear(self, place, x):
        weight, bias = (self.params[f'{PROJECTOR}.{place}.{k}'] for k in ('weight', 'bias'))
        return x @ weight.flatten(1).T + bias

    def features(self, images, training):
        """What comes out of the tower, of the batch norm and of the projector."""
        image = self.net.image(images, prompts_of(self.params, 'image'), pre_norm=True)
        x = self.linear(0, image)
        moved = [f'{PROJECTOR}.1.running_{n}' for n in ('mean', 'var')]
        mean, var = (self.running[n] for n in moved)
        if training:
            mean, var = x.mean(0), x.var(0, correction=0)
            for name, now in zip(moved, (mean, x.var(0))):
                old = (1 - MOMENTUM) * self.running[name]
                self.running[name] = old + MOMENTUM * now.detach()
        x = (x - mean) / (var + 1e-5).sqrt()
        normed = x * self.params[f'{PROJECTOR}.1.weight'] + self.params[f'{PROJECTOR}.1.bias']
        return image, normed, self.linear(3, normed.relu())

    def evaluated(self, images):
        """Logits by the part of the classes that they are for."""
        with torch.no_grad():
            logits = self.net.logits(self.features(images, False)[-1], self.teacher.text)
        half = self.meta['n_base_classes']
        if half is None:
            return dict(all=logits)
        return dict(base=logits[:, :half], new=logits[:, half:])

    def step(self, images):
        """One training step without its update."""
        image, normed, projected = self.features(images, True)
        temperature = self.meta['temperature']
        logits = self.net.logits(projected, self.teacher.text)
        log_q = (logits / temperature).log_softmax(1)
        log_p = (self.teacher.logits(images) / temperature).log_softmax(1)
        far = temperature**2 * (log_p.exp() * (log_p - log_q)).mean()
        loss = self.meta['kd_weight'] * far
        grads = torch.autograd.grad(loss, [*self.params.values()])
        return {
            'out/image_features': image,
            'mid/projector_batchnorm': normed,
            'mid/projected_features': projected,
            'mid/student_features': F.normalize(projected, dim=-1),
            'out/logits': logits,
            'loss/kl_logits': far,
            'loss/total': loss,
            **{f'grad/{n}': g for n, g in zip(self.params, grads)},
        }


def train(student, batches):
    """Repeat the batches as the settings say."""
    plan, rates, losses = student.meta['trajectory'], [], []
    [optim] = optimizers(plan, [[*student.params.values()]])
    for epoch in range(plan['epochs']):
        rates.append(rate(plan, epoch, plan['base_lr'], plan['warmup_epochs']))
        optim.param_groups[0]['lr'] = rates[-1]
        for images in batches:
            found = student.step(images)
            losses.append(found['loss/total'].item())
            for name, p in student.params.items():
                p.grad = found[f'grad/{name}']
            optim.step()
    return {
        'traj/lr': np.array(rates),
        'traj/loss': np.array(losses).reshape(plan['epochs'], len(batches)),
        **{f'traj/final/{n}': p for n, p in {**student.params, **student.running}.items()},
    }


def promptkd(meta, arrays, clip, teacher_clip):
    """All outputs of a case, and its settings with those that follow from others."""
    inputs = tensors(arrays)
    width = inputs['param/VPT_image_trans.conv1.0.weight'].shape
    half = math.ceil(len(meta['class_names']) / 2) if meta['modal'] == 'base2novel' else None
    scales = {
        f'{n}_logit_scale': float(np.exp(np.float64(c['logit_scale'])))
        for n, c in dict(student=clip, teacher=teacher_clip).items()
    }
    projector = dict(meta['projector'], input=width[1], hidden=width[0], output=width[0])
    meta = dict(meta, n_base_classes=half, projector=projector, **scales)
    teacher = Teacher(meta, inputs, teacher_clip)
    student = Student(meta, inputs, clip, teacher)
    images, test = inputs['images'], inputs['test/images']
    image = teacher.image(images)
    found = {
        'tok/prompts': teacher.ids,
        'mid/teacher_text_features_raw': teacher.raw,
        'mid/teacher_image_features_raw': image,
        'out/teacher_text_features': teacher.text,
        'out/teacher_image_features': F.normalize(image, dim=-1),
        'out/teacher_logits': teacher.logits(images),
        **{f'mid/teacher_text_block_{i}_eot': t for i, t in enumerate(teacher.net.text_ends)},
        **{f'mid/teacher_block_{i}_cls': t for i, t in enumerate(teacher.net.class_tokens)},
        **{f'out/eval_logits_{k}': v for k, v in student.evaluated(test).items()},
    }
    if teacher.start is not None:
        found[START] = teacher.start
    before = dict(student.running)
    found.update(student.step(images))
    found.update({f'mid/block_{i}_cls': t for i, t in enumerate(student.net.class_tokens)})
    student.running = before
    found.update(train(student, inputs['traj/images']))
    found.update({f'traj/final_eval_logits_{k}': v for k, v in student.evaluated(test).items()})
    return meta, found
