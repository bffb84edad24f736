"""VLP's and DPT's formulas in plain PyTorch (see twin.py)."""

import torch
import torch.nn.functional as F

from helpers.twin import CLASSES, draw, encode, token_ids, write
from helpers.twin_methods import CTX, start
from helpers.twin_run import train

VISUAL = 'image_encoder.transformer.ctx_learner.ctx'
EXTRACTOR = 'image_encoder.transformer.extractor'


def placed(net, context, position):
    """Prompts with the context behind, around or before the name."""
    bank, n = net.w['token_embedding.weight'], context.shape[-2]
    found = []
    for i, name in enumerate(CLASSES):
        own = context[i] if context.dim() == 3 else context
        ids, rest = encode(name.replace('_', ' ')), [*encode('.'), 49407]
        parts = dict(
            end=[own, bank[ids]],
            middle=[own[: n // 2], bank[ids], own[n // 2 :]],
            front=[bank[ids], own],
        )[position]
        x = torch.cat([bank[[49406]], *parts, bank[rest]])
        found.append((x, [49406, *encode('X ' * n), *ids, *rest]))
    return found


def tokens(net, prompts):
    """The prompts' tokens, and the text tower's input, filled up with the
    embedding of token 0."""
    padding, length = net.w['token_embedding.weight'][:1], max(len(ids) for _, ids in prompts)
    filled = [torch.cat([x, padding.expand(length - len(x), -1)]) for x, _ in prompts]
    return {
        'tok/prompts': token_ids(prompts),
        'tok/name_lens': torch.tensor([len(encode(c.replace('_', ' '))) for c in CLASSES]),
        'mid/text_prompts': torch.stack(filled),
    }


def aware_shapes(layers):
    """Parameters of the class-aware layers."""
    shapes = {f'{EXTRACTOR}.ctx': (layers, 10, 128)}
    for i in range(layers):
        for name, shape in {
            f'meta_nets.{i}.weight': (128, 64),
            f'meta_nets.{i}.bias': (128,),
            f'attns.{i}.qmlp.weight': (32, 128),
            f'attns.{i}.kmlp.weight': (32, 128),
            f'attns.{i}.vmlp.weight': (128, 128),
            f'lns.{i}.weight': (128,),
            f'lns.{i}.bias': (128,),
            f'classfiers.{i}.weight': (len(CLASSES), 128),
            f'lns2.{i}.weight': (128,),
            f'lns2.{i}.bias': (128,),
        }.items():
            shapes[f'{EXTRACTOR}.{name}'] = shape
    return shapes


def aware(params, i, x, text):
    """Weights, what was found, prompts and class logits of one layer, for its
    tokens ``x`` (B, N, D) and the chosen classes' features (B, K, E)."""
    w = {
        n[len(EXTRACTOR) + 1 :].replace(f'.{i}.', '.'): p
        for n, p in params.items()
        if f'.{i}.' in n
    }
    q = text @ w['meta_nets.weight'].T + w['meta_nets.bias']
    z = torch.cat([x.detach(), params[f'{EXTRACTOR}.ctx'][i].expand(len(x), -1, -1)], 1)
    scores = (q @ w['attns.qmlp.weight'].T) @ (z @ w['attns.kmlp.weight'].T).transpose(1, 2)
    a = (scores / 32**0.5).softmax(-1)
    o = (a @ z) @ w['attns.vmlp.weight'].T
    logits = F.layer_norm(o, (128,), w['lns.weight'], w['lns.bias']) @ w['classfiers.weight'].T
    prompts = F.layer_norm(o + q, (128,), w['lns2.weight'], w['lns2.bias'])
    return a, o, prompts, logits


def forward(net, params, images, position, layers=0, k=0):
    """Outputs by their names in the file; ``layers`` are class-aware."""
    text = net.text(placed(net, params[CTX], position))
    frozen, filled = net.image(images), net.filled()
    zero_shot = net.logits(frozen, filled)
    top, seen = zero_shot.argsort(1, descending=True)[:, :k], []

    def answer(i):
        def make(x):
            seen.append(aware(params, i, x, text[top]))
            return seen[-1][2]

        return make

    image = net.image(images, [*params[VISUAL], *map(answer, range(layers))])
    found = {
        'out/logits': net.logits(image, text),
        'out/logits_text_guide': net.logits(frozen, text),
        'out/logits_image_guide': net.logits(image, filled),
        'out/text_features': text,
        'out/image_features': image,
        'out/zeroshot_text_features': filled,
        'out/zeroshot_image_features': frozen,
    }
    if not layers:
        return found
    for i, (a, o, prompts, _) in enumerate(seen):
        found[f'mid/cavpt_{i}_attention'] = a
        found[f'mid/cavpt_{i}_attended'] = o.transpose(0, 1)
        found[f'mid/cavpt_{i}_prompts'] = prompts.transpose(0, 1)
    found['out/layer_logits'] = torch.stack([s[3].transpose(0, 1) for s in seen])
    found.update({'out/topk_indices': top, 'out/zeroshot_logits': zero_shot})
    return found


def loss_terms(out, labels, guided):
    """Unweighted terms; the class-aware one only if a label was chosen."""
    names = ('text_guide', 'image_guide', 'logits') if guided else ('logits',)
    outputs = {n: out['out/logits' + f'_{n}'.replace('_logits', '')] for n in names}
    terms = {f'ce_{n}': F.cross_entropy(x, labels) for n, x in outputs.items()}
    pairs = [
        F.cross_entropy(layer[rank, sample], labels[sample])
        for layer in out.get('out/layer_logits', ())
        for sample, chosen in enumerate(out['out/topk_indices'])
        for rank in range(len(chosen))
        if chosen[rank] == labels[sample]
    ]
    if pairs:
        terms['aux'] = sum(pairs) / len(pairs)
    return terms


def total(terms, alpha, guided):
    share = dict(aux=alpha, ce_logits=0.1 if guided else 1.0)
    return sum(share.get(name, 1.0) * term for name, term in terms.items())


def losses(out, labels, params, alpha, guided, key, grad_key):
    """Terms, their sum, its gradients, and the names of those that lack one."""
    terms = loss_terms(out, labels, guided)
    whole = total(terms, alpha, guided)
    grads = torch.autograd.grad(whole, [*params.values()], retain_graph=True, allow_unused=True)
    found = {f'{key}/{n}': t for n, t in dict(terms, total=whole).items()}
    found.update({f'{grad_key}/{n}': g for n, g in zip(params, grads) if g is not None})
    return found, [n for n, g in zip(params, grads) if g is None]


def all_miss(out, params, alpha):
    """The loss for labels that were not chosen."""
    labels = out['out/zeroshot_logits'].argmin(1)
    found, without = losses(out, labels, params, alpha, False, 'loss', 'grad')
    arrays = {f'allmiss/{k}': v.float() for k, v in found.items() if k.startswith('grad')}
    arrays.update({'allmiss/labels': labels, 'allmiss/loss_total': found['loss/total']})
    return arrays, without


def vlp(folder, n, position, visual, specific=False, image_layers=4):
    dpt(folder, n, position, visual, specific=specific, image_layers=image_layers, method='VLP')


def dpt(
    folder,
    n,
    position,
    visual,
    bottom=None,
    cpn=0,
    alpha=0.0,
    specific=False,
    image_layers=4,
    plan=None,
    method='DPT',
):
    """A case of DPT; without a first class-aware layer (counted from 1), VLP."""
    clip, net, images, labels = start(image_layers=image_layers, text_layers=3)
    layers, k = image_layers - bottom + 1 if bottom else 0, min(cpn, len(CLASSES))
    context = (len(CLASSES), n, 128) if specific else (n, 128)
    shapes = {CTX: context, VISUAL: (image_layers - layers, visual, 128)}
    params = draw({**shapes, **(aware_shapes(layers) if layers else {})})
    out = forward(net, params, images, position, layers, k)
    result = {**out, **tokens(net, placed(net, params[CTX], position))}
    for guided, ending in ((False, ''), (True, '_guided')):
        keys = f'loss{ending}', f'grad{ending}'
        result.update(losses(out, labels, params, alpha, guided, *keys)[0])
    meta = dict(
        method=method,
        text_n_ctx=n,
        class_token_position=position,
        class_specific_context=specific,
        visual_n_ctx=visual,
        guided_epochs_C=plan['guided_epochs_C'] if plan else 7,
    )
    if layers:
        meta.update(BOTTOMLIMIT=bottom, CPN=cpn, K=k, alpha=alpha)
        result['out/label_in_topk'] = (out['out/topk_indices'] == labels[:, None]).any(1)
    if layers and k < len(CLASSES):
        missed, meta['allmiss_parameters_without_gradient'] = all_miss(out, params, alpha)
        result.update(missed)
    if plan:

        def step(now, images, labels, epoch):
            guided = epoch < plan['guided_epochs_C']
            out = forward(net, now, images, position, layers, k)
            terms = loss_terms(out, labels, guided)
            return total(terms, alpha, guided), terms, dict(logits=out['out/logits'])

        meta['trajectory'] = plan
        result.update(train(plan, params, step, plan['optimisers']))
    write(folder, meta, params, result, clip)
