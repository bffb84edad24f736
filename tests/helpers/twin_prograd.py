"""ProGrad's formulas in plain PyTorch (see twin.py)."""

import torch
import torch.nn.functional as F

from helpers.twin import draw, write
from helpers.twin_methods import CTX, found, start
from helpers.twin_run import train


def both(net, context, images, labels, words, t):
    """Logits and features, and the two losses."""
    prompts = net.prompts(f'{words} {{}}.', context)
    text, image = net.text(prompts), net.image(images)
    logits = net.logits(image, text)
    target = (net.logits(image, net.filled()) / t).softmax(1)
    losses = F.cross_entropy(logits, labels), t**2 * F.cross_entropy(logits / t, target)
    return logits, image, text, prompts, losses


def rule(a, b, strength):
    """The gradient to follow, and the cosine of the two."""
    unit = b / b.norm()
    along = (a * unit).sum()
    return a - strength * along * unit if along < 0 else a, along / a.norm()


def gradients(context, losses):
    return [torch.autograd.grad(x, context, retain_graph=True)[0] for x in losses]


def prograd(folder, words, n, plan=None, **meta):
    """A case, and a run whose file counts the steps, not the epochs."""
    clip, net, images, labels = start()
    params = draw({CTX: (n, 128)})
    context, t, strength = params[CTX], meta['T'], meta['LAMBDA']
    logits, image, text, prompts, losses = both(net, context, images, labels, words, t)
    a, b = gradients(context, losses)
    kept, cosine = rule(a, b, strength)
    result = found(logits, labels, image, text, prompts)
    del result['loss/total']
    result.update(
        {
            'loss/ce_logits': losses[0],
            'loss/kl': losses[1],
            f'grad_ce/{CTX}': a,
            f'grad_kl/{CTX}': b,
            f'grad/{CTX}': kept,
            'out/gradient_cosine': cosine,
        }
    )
    if plan:

        def step(now, images, labels, epoch):
            logits, *_, losses = both(net, now[CTX], images, labels, words, t)
            kept, _ = rule(*gradients(now[CTX], losses), strength)
            terms = dict(ce_logits=losses[0], kl=losses[1])
            return losses[0], terms, dict(logits=logits), [kept]

        meta['trajectory'] = plan
        run = train(plan, params, step)
        run['traj/lr'] = run['traj/lr'].repeat(plan['iterations_per_epoch'])
        run['traj/loss'] = run['traj/loss'].ravel()
        result.update(run)
    write(folder, dict(meta, method='ProGrad'), params, result, clip)
