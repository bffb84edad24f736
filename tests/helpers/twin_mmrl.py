"""MMRL's and MMRL++'s formulas in plain PyTorch (see twin.py)."""

import numpy as np
import torch
import torch.nn.functional as F

from helpers.twin import CLASSES, draw, token_ids, write
from helpers.twin_methods import start
from helpers.twin_run import train

LEARNER = 'representation_learner'
NEW = ['clean', 'white terrier', 'dark_cat']
RULES = dict(
    B2N=('logits_fusion', 'logits'), FS=('logits_fusion', 'logits_fusion'), CD=('logits', 'logits')
)


def projection_shapes(tower, count, dim, rank):
    """Parameters of the maps to one tower, 'r2t' or 'r2v'."""
    if rank is None:
        name, kinds = f'{LEARNER}.compound_rep_tokens_{tower}proj', ('weight', 'bias')
        shapes = dict(zip(kinds, ((128, dim), (128,))))
        return {f'{name}.{i}.{k}': shapes[k] for i in range(count) for k in kinds}
    name, shapes = f'{LEARNER}.srra_{tower}proj', dict(A=(128, rank), B=(rank, dim), bias=(128,))
    low_rank = {f'{name}.srra.{i}.{k}': s for i in range(count) for k, s in shapes.items()}
    return {f'{name}.weight': (128, dim), **low_rank}


def projected(params, tower, count, rank):
    """The tokens of each representation layer, (n, D)."""
    tokens, found = params[f'{LEARNER}.compound_rep_tokens'], []
    for i in range(count):
        if rank is None:
            name = f'{LEARNER}.compound_rep_tokens_{tower}proj.{i}'
            matrix, bias = params[f'{name}.weight'], params[f'{name}.bias']
        else:
            name = f'{LEARNER}.srra_{tower}proj'
            a, b, bias = (params[f'{name}.srra.{i}.{k}'] for k in ('A', 'B', 'bias'))
            matrix = params[f'{name}.weight'] + a @ b
        found.append(tokens @ matrix.T + bias)
    return found


def enter(x, tokens, first, beta):
    """Put tokens behind the first one of the sequence: newly, or in place of
    (or mixed with) those that stand there."""
    n = tokens.shape[0]
    tokens = tokens.expand(len(x), -1, -1)
    if first:
        return torch.cat([x[:, :1], tokens, x[:, 1:]], 1)
    return torch.cat([x[:, :1], beta * tokens + (1 - beta) * x[:, 1 : 1 + n], x[:, 1 + n :]], 1)


def run(net, tower, x, layers, tokens, beta, causal):
    """States after each block, and by how much the sequence has grown."""
    states = []
    for i in range(net.layers(tower)):
        if i + 1 in layers:
            place = layers.index(i + 1)
            x = enter(x, tokens[place], place == 0, beta)
        length = x.shape[1]
        mask = x.new_full((length, length), -np.inf).triu(1) if causal else 0.0
        x = net.block(f'{tower}.resblocks.{i}', x, mask)
        states.append(x)
    return states


def text_features(net, prompts, layers, tokens, beta):
    """Features (C, E) and the states after each block."""
    x = torch.nn.utils.rnn.pad_sequence([p for p, _ in prompts], True)
    x = x + net.w['positional_embedding'][: x.shape[1]]
    states = run(net, 'transformer', x, layers, tokens, beta, True)
    ends = [len(ids) - 1 + len(tokens[0]) for _, ids in prompts]
    x = net.norm('ln_final', states[-1])
    return x[range(len(x)), ends] @ net.w['text_projection'], states


def image_features(net, images, layers, tokens, beta, projection):
    """Features (B, E) of class token and of the others, their mean (B, D) and
    the states after each block."""
    w = net.w
    x = F.conv2d(images, w['visual.conv1.weight'], stride=8).flatten(2).transpose(1, 2)
    x = torch.cat([w['visual.class_embedding'].expand(len(x), 1, -1), x], 1)
    x = net.norm('visual.ln_pre', x + w['visual.positional_embedding'])
    states = run(net, 'visual.transformer', x, layers, tokens, beta, False)
    normed = net.norm('visual.ln_post', states[-1])
    pooled = normed[:, 1 : 1 + len(tokens[0])].mean(1)
    return normed[:, 0] @ w['visual.proj'], pooled @ projection, pooled, states


def distance(a, b):
    return 1 - F.cosine_similarity(a, b, dim=-1).mean()


class Setting:
    """The twin with its settings."""

    def __init__(self, net, layers, alpha, weight, scale, beta, rank, template):
        self.net, self.layers, self.alpha, self.weight = net, layers, alpha, weight
        self.scale, self.beta, self.rank, self.template = scale, beta, rank, template

    def forward(self, params, images, classes=CLASSES):
        """Outputs by their names in the file."""
        net, layers, beta = self.net, self.layers, self.beta
        text_tokens, image_tokens = (
            projected(params, tower, len(layers), self.rank) for tower in ('r2t', 'r2v')
        )
        if self.rank is None:
            projection = params['image_encoder.proj_rep']
        else:
            projection = (
                net.w['visual.proj'] + params['image_encoder.A'] @ params['image_encoder.B']
            )
        prompts, n = net.prompts(self.template, classes=classes), len(text_tokens[0])
        text, text_states = text_features(net, prompts, layers, text_tokens, beta)
        image, own, pooled, states = image_features(
            net, images, layers, image_tokens, beta, projection
        )
        logits, rep = (net.logits(x, text, self.scale) for x in (image, own))
        found = {
            'out/logits': logits,
            'out/logits_rep': rep,
            'out/logits_fusion': self.alpha * logits + (1 - self.alpha) * rep,
            'out/text_features': text,
            'out/image_features': image,
            'out/image_features_rep': own,
            'out/zeroshot_text_features': net.filled(self.template, classes),
            'out/zeroshot_image_features': net.image(images),
            'mid/rep_pooled': pooled,
            'tok/template_prompts': token_ids(prompts),
        }
        for name, tokens in dict(text=text_tokens, visual=image_tokens).items():
            found.update({f'mid/rep_tokens_{name}_{i}': t for i, t in enumerate(tokens)})
        for i in range(layers[0] - 1, len(text_states)):
            found[f'mid/text_block_{i}_rep'] = text_states[i][0, 1 : 1 + n]
        for i in range(layers[0] - 1, len(states)):
            found[f'mid/block_{i}_rep'] = states[i][:, 1 : 1 + n]
        return found

    def losses(self, out, labels):
        """The sum, and its terms without weights."""
        terms = dict(
            ce_logits=F.cross_entropy(out['out/logits'], labels),
            ce_logits_rep=F.cross_entropy(out['out/logits_rep'], labels),
            cos_image=distance(out['out/image_features'], out['out/zeroshot_image_features']),
            cos_text=distance(out['out/text_features'], out['out/zeroshot_text_features']),
        )
        shares = (self.alpha, 1 - self.alpha, self.weight, self.weight)
        return sum(s * t for s, t in zip(shares, terms.values())), terms

    def step(self, params, images, labels, epoch):
        """What :func:`train` needs."""
        out = self.forward(params, images)
        logits = {k: out[f'out/{k}'] for k in ('logits', 'logits_rep', 'logits_fusion')}
        return *self.losses(out, labels), logits


def shapes(n, dim, layers, ranks):
    """All parameters."""
    last = {'image_encoder.proj_rep': (128, 64)}
    if ranks[0]:
        last = {'image_encoder.A': (128, ranks[1]), 'image_encoder.B': (ranks[1], 64)}
    return {
        f'{LEARNER}.compound_rep_tokens': (n, dim),
        **projection_shapes('r2v', len(layers), dim, ranks[0]),
        **projection_shapes('r2t', len(layers), dim, ranks[0]),
        **last,
    }


def mmrl(
    folder,
    n,
    dim,
    layers,
    alpha,
    weight,
    task,
    ranks=(None, None),
    beta=1.0,
    towers=(4, 4),
    plan=None,
    scale=70.0,
    template='the {} here.',
):
    """A case; ``ranks`` of the residuals and of the projection (MMRL++)."""
    clip, net, images, labels = start(text_layers=towers[0], image_layers=towers[1])
    params = draw(shapes(n, dim, layers, ranks))
    twin = Setting(net, layers, alpha, weight, scale, beta, ranks[0], template)
    base_rule, new_rule = RULES[task]
    out, new = twin.forward(params, images), twin.forward(params, images, NEW)
    kept = ('out/logits', 'out/text_features', 'out/zeroshot_text', 'tok/', 'mid/text_block')
    whole, terms = twin.losses(out, labels)
    result = {
        **out,
        **{f'new/{k}': v for k, v in new.items() if k.startswith(kept)},
        **{f'loss/{k}': v for k, v in dict(terms, total=whole).items()},
        'out/scores_base': out[f'out/{base_rule}'],
        'new/out/scores': new[f'out/{new_rule}'],
    }
    meta = dict(
        method='MMRL++' if ranks[0] else 'MMRL',
        n_rep_tokens=n,
        rep_dim=dim,
        rep_layers_from_1=layers,
        alpha=alpha,
        reg_weight=weight,
        task=task,
        scores_at_test={f'{task}/base': base_rule, f'{task}/new': new_rule},
        logit_scale=scale,
        template=template,
        new_class_names=NEW,
    )
    if ranks[0]:
        meta.update(beta=beta, res_lora_dim=ranks[0], proj_lora_dim=ranks[1])
    if plan:
        meta['trajectory'] = plan
        result.update(train(plan, params, twin.step))
    write(folder, meta, params, result, clip)
