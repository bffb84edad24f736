"""TCP's formulas in plain PyTorch (see twin.py)."""

import torch.nn.functional as F

from helpers.twin import draw, write
from helpers.twin_methods import CTX, found, start


def tcp(folder, n, layers, shares, weight, hidden=16):
    clip, net, images, labels = start(text_layers=5)
    name = 'prompt_learner.meta_net.linear'
    params = draw(
        {
            CTX: (n, 128),
            f'{name}1.weight': (hidden, 64),
            f'{name}1.bias': (hidden,),
            f'{name}2.weight': (512, hidden),
            f'{name}2.bias': (512,),
        }
    )
    ctx, w1, b1, w2, b2 = params.values()
    anchor = net.filled('the {}.')
    h = anchor @ w1.T + b1
    tokens = ((h * (1.702 * h).sigmoid()) @ w2.T + b2).unflatten(-1, (4, 128))
    prompts = net.prompts('X X X X {}.', ctx)
    text = net.text(prompts, blend={i: (tokens, b) for i, b in zip(layers, shares)})
    image = net.image(images)
    logits = net.logits(image, text)
    result = found(logits, labels, image, text, prompts)
    far = 1 - F.cosine_similarity(text, anchor).mean()
    result.update({'loss/ce_logits': result['loss/total'], 'loss/kg': far})
    result['loss/total'] = result['loss/total'] + weight * far
    result.update({'out/zeroshot_text_features': anchor, 'mid/class_prompts': tokens})
    write(
        folder,
        dict(
            method='TCP',
            n_ctx=n,
            ctx_init='',
            n_class_tokens=4,
            meta_net_hidden_size=hidden,
            meta_net_activation='x*sigmoid(1.702x)',
            insertion_layers_from_0=layers,
            blend_weights=shares,
            loss_weight=weight,
            template_reference='the {}.',
            template_prompt='X X X X {}.',
        ),
        params,
        result,
        clip,
    )
