"""What the methods' twins share; CoOp, KgCoOp, CoCoOp and zero-shot CLIP (see twin.py)."""

import torch
import torch.nn.functional as F

from helpers.twin import Clip, draw, pictures, token_ids, weights, write

CTX = 'prompt_learner.ctx'


def start(**layers):
    clip = weights(**layers)
    images, labels = pictures()
    return clip, Clip(clip[1]), images.double(), labels


def found(logits, labels, image, text, prompts=None, **more):
    loss = F.cross_entropy(logits, labels)
    tokens = {} if prompts is None else {'tok/prompts': token_ids(prompts)}
    return {
        'out/logits': logits,
        'out/image_features': image,
        'out/text_features': text,
        'loss/total': loss,
        **tokens,
        **more,
    }


def coop(folder, words, n, **meta):
    """CoOp and KgCoOp (W)."""
    clip, net, images, labels = start()
    params = draw({CTX: (n, 128)})
    prompts = net.prompts(f'{words} {{}}.', params[CTX])
    text, image = net.text(prompts), net.image(images)
    logits = net.logits(image, text)
    result = found(logits, labels, image, text, prompts)
    if 'W' in meta:
        far = 1 - F.cosine_similarity(text, net.filled()).mean()
        result['loss/ce_logits'] = result['loss/total']
        result['loss/kg'] = far
        result['loss/total'] = result['loss/total'] + meta['W'] * far
    write(folder, meta, params, result, clip)


def cocoop(folder, words, n, reduction=16, **meta):
    clip, net, images, labels = start()
    hidden = 64 // reduction
    params = draw(
        {
            CTX: (n, 128),
            **{
                f'prompt_learner.meta_net.{k}': s
                for k, s in {
                    'linear1.weight': (hidden, 64),
                    'linear1.bias': (hidden,),
                    'linear2.weight': (128, hidden),
                    'linear2.bias': (128,),
                }.items()
            },
        }
    )
    ctx, w1, b1, w2, b2 = params.values()
    image = net.image(images)
    shift = (F.normalize(image, dim=-1) @ w1.T + b1).relu() @ w2.T + b2
    text = torch.stack([net.text(net.prompts(f'{words} {{}}.', ctx + s)) for s in shift])
    logits = net.logits(image[:, None], text)[:, 0]
    write(
        folder,
        dict(meta, method='CoCoOp', reduction=reduction),
        params,
        found(logits, labels, image, text, net.prompts(f'{words} {{}}.', ctx)),
        clip,
    )


def zero_shot(folder, template):
    clip, net, images, labels = start()
    image, text = net.image(images), net.filled(template)
    logits = net.logits(image, text)
    result = {'out/logits': logits, 'out/image_features': image, 'out/text_features': text}
    write(folder, dict(method='ZeroshotCLIP', template=template), {}, result, clip)
