"""CoPrompt in plain PyTorch, for case files (see twin.py)."""

import numpy as np
import torch
import torch.nn.functional as F

from helpers.twin import Clip, encode, token_ids
from helpers.twin_draw import Draw, settings
from helpers.twin_files import random_clip, save
from helpers.twin_methods import CTX
from helpers.twin_run import rate


def first_words(meta):
    """What the prompts begin with: words as given, or placeholders."""
    words, n = meta['ctx_init'], meta['n_ctx']
    return words.replace('_', ' ') if words and n <= 4 else ' '.join('X' * n)


def shapes(meta, clip):
    """Of what is learnt, by name."""
    size, n, prompt = clip[0]['arch'], meta['n_ctx'], 'prompt_learner.'
    text, image, dim = size['twidth'], size['vwidth'], size['embed']
    deep, hidden = range(meta['prompt_depth'] - 1), dim // meta['adapter_reduction']
    found = {CTX: (n, text)}
    found |= {f'{prompt}compound_prompts_text.{i}': (n, text) for i in deep}
    for layer in ('proj', *(f'compound_prompt_projections.{i}' for i in deep)):
        found |= {f'{prompt}{layer}.weight': (image, text), f'{prompt}{layer}.bias': (image,)}
    for side in ('image', 'text'):
        found[f'adapter_{side}.fc.0.weight'] = (hidden, dim)
        found[f'adapter_{side}.fc.2.weight'] = (dim, hidden)
    return found


class Model:
    """Prompts, adapters, and the frozen CLIP beside them."""

    def __init__(self, clip, meta):
        self.net, self.meta = Clip(clip[1]), meta
        self.names = [name.replace('_', ' ') for name in meta['class_names']]
        self.sentences = [
            self.net.prompts(sentence, classes=self.names) for sentence in meta['descriptions']
        ]
        with torch.no_grad():
            features = torch.stack([self.net.text(s) for s in self.sentences])
            self.fixed = F.normalize(features, dim=-1)

    def prompts(self, context=None):
        return self.net.prompts(f'{first_words(self.meta)} {{}}.', context, self.names)

    def features(self, params, images):
        """Of texts and images, before and after the adapters, by the file's keys."""
        deep = range(self.meta['prompt_depth'] - 1)
        tokens = [params[f'prompt_learner.compound_prompts_text.{i}'] for i in deep]
        layers = ['proj', *(f'compound_prompt_projections.{i}' for i in deep)]
        projected = [
            token @ params[f'prompt_learner.{layer}.weight'].T
            + params[f'prompt_learner.{layer}.bias']
            for token, layer in zip([params[CTX], *tokens], layers)
        ]
        found = {}
        for side, z in (
            ('text', self.net.text(self.prompts(params[CTX]), tokens)),
            ('image', self.net.image(images, projected, pre_norm=True)),
        ):
            first, second = (params[f'adapter_{side}.fc.{i}.weight'] for i in (0, 2))
            a, m = ((z @ first.T).relu() @ second.T).relu(), self.meta[f'{side}_adapter_m']
            found |= {
                f'mid/{side}_features_before_adapter': z,
                f'mid/adapter_{side}_output': a,
                f'out/{side}_features': m * a + (1 - m) * z,
            }
        logits = self.net.logits(found['out/image_features'], found['out/text_features'])
        return found | {'out/logits': logits}

    def losses(self, found, labels, second, number):
        """Terms and total."""
        frozen = dict(text=self.fixed[number], image=second)
        terms = {'ce_logits': F.cross_entropy(found['out/logits'], labels)}
        for side, theirs in frozen.items():
            ours = F.normalize(found[f'out/{side}_features'], dim=-1)
            theirs = F.normalize(theirs, dim=-1)
            if self.meta['distill'] == 'cosine':
                far = 1 - (ours * theirs).sum(-1).mean()
            else:
                far = ((ours - theirs) ** 2).mean()
            terms[f'{side}_consistency'] = far
        total = terms['ce_logits'] + self.meta['W'] * (
            terms['text_consistency'] + terms['image_consistency']
        )
        return {f'loss/{k}': v for k, v in (terms | {'total': total}).items()}

    def second(self, views):
        with torch.no_grad():
            return self.net.image(views)


def recompute(clip, meta, arrays):
    """The shapes of what is learnt, and all that follows from a file's inputs, by key."""
    model, n = Model(clip, meta), meta['n_ctx']
    params = {
        name: torch.from_numpy(arrays[f'param/{name}']).double().requires_grad_()
        for name in shapes(meta, clip)
    }
    found = {
        'tok/prompts': token_ids(model.prompts()),
        'tok/descriptions': np.array([token_ids(s) for s in model.sentences]),
        'out/description_features': model.fixed,
        'out/zeroshot_image_features': model.second(torch.from_numpy(arrays['images2']).double()),
    }
    if meta['ctx_init'] and n <= 4:
        ids = encode(first_words(meta))[:n]
        found['init/prompt_learner.ctx'] = clip[1]['token_embedding.weight'][ids]
    found |= model.features(params, torch.from_numpy(arrays['images']).double())
    for key, states in (
        ('mid/block_{}_cls', model.net.class_tokens),
        ('mid/text_block_{}_eot', model.net.text_ends),
    ):
        found |= {key.format(i): state for i, state in enumerate(states)}
    number = arrays['traj/description_index'][0, 0]
    labels = torch.from_numpy(arrays['labels'])
    found |= model.losses(found, labels, found['out/zeroshot_image_features'], number)
    grads = torch.autograd.grad(found['loss/total'], [*params.values()], allow_unused=True)
    found |= {f'grad/{k}': g for k, g in zip(params, grads) if g is not None}
    learnt = {n: list(p.shape) for n, p in params.items()}
    return learnt, found | train(model, params, arrays)


def train(model, params, arrays):
    """The run of ``meta.trajectory``."""
    plan = model.meta['trajectory']
    batches, views = (
        torch.from_numpy(arrays[f'traj/{key}']).double() for key in ('images', 'images2')
    )
    labels = torch.from_numpy(arrays['traj/labels'])
    second = [model.second(v) for v in views]
    now = {n: t.detach().clone().requires_grad_() for n, t in params.items()}
    optim = torch.optim.SGD([*now.values()], 1.0, **plan['sgd'])
    rates, losses, entropies = [], [], []
    for epoch, numbers in enumerate(arrays['traj/description_index']):
        rates.append(rate(plan, epoch, plan['base_lr'], plan['warmup_epochs']))
        for step, number in enumerate(numbers):
            found = model.features(now, batches[step])
            terms = model.losses(found, labels[step], second[step], number)
            losses.append(terms['loss/total'].item())
            entropies.append(terms['loss/ce_logits'].item())
            optim.param_groups[0]['lr'] = rates[-1]
            optim.zero_grad()
            terms['loss/total'].backward()
            optim.step()
    with torch.no_grad():
        logits = torch.stack([model.features(now, b)['out/logits'] for b in batches])
    shape = arrays['traj/description_index'].shape
    return {
        'traj/lr': np.array(rates),
        'traj/loss': np.array(losses).reshape(shape),
        'traj/ce': np.array(entropies).reshape(shape),
        'traj/final_logits': logits,
        **{f'traj/final/{n}': t for n, t in now.items()},
    }


def coprompt(folder, plan, sizes=None, seed=1, **changes):
    """Write a case like the reference's file, with other settings.

    Args:
        folder (Path): Where to.
        plan (dict): Changes of the run.
        sizes (dict, optional): Of the CLIP.
        seed (int): Of everything random.
        **changes: Of the other settings.
    """
    meta = settings('coprompt', plan, dict(changes, clip='clip.npz'))
    clip, random = random_clip(seed, **(sizes or {})), np.random.default_rng(seed)
    draw, side, plan = Draw(seed), clip[0]['arch']['image'], meta['trajectory']
    steps = plan['iterations_per_epoch']
    shape = (steps, meta['batch'])
    first = draw.pictures('traj/', shape, side, len(meta['class_names']))
    second = draw(*shape, 3, side, side)
    meta.update(image_size=side, logit_scale=float(np.exp(float(clip[1]['logit_scale']))))
    given = {
        **first,
        'images': first['traj/images'][0],
        'labels': first['traj/labels'][0],
        'images2': second[0],
        'traj/images2': second,
        'traj/description_index': random.integers(
            len(meta['descriptions']), size=(plan['epochs'], steps)
        ),
        **{f'param/{n}': draw(*size, std=0.1) for n, size in shapes(meta, clip).items()},
    }
    meta['learnable'], found = recompute(clip, meta, given)
    save(folder / 'clip.npz', *clip)
    save(folder / 'case.npz', meta, {**given, **found})
