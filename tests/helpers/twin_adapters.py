"""CLIP-Adapter and Tip-Adapter-F in plain PyTorch (see twin.py)."""

import numpy as np
import torch
import torch.nn.functional as F

from helpers.twin import CLASSES, draw, write
from helpers.twin_methods import found, start


def clip_adapter(folder, ratio, reduction):
    clip, net, images, labels = start()
    hidden = 64 // reduction
    params = draw({'adapter.fc.0.weight': (hidden, 64), 'adapter.fc.2.weight': (64, hidden)})
    first, second = params.values()
    z, text = net.image(images), net.filled()
    image = ratio * ((z @ first.T).relu() @ second.T).relu() + (1 - ratio) * z
    write(
        folder,
        dict(method='CLIP_Adapter', ratio=ratio, reduction=reduction),
        params,
        found(net.logits(image, text), labels, image, text),
        clip,
    )


def tip_adapter_f(folder, alpha, beta, adamw):
    """Two steps over one batch, the rate halved in between."""
    clip, net, images, labels = start()
    params = draw({'adapter.weight': (8, 64)})
    keys, classes = params['adapter.weight'], torch.arange(8) % len(CLASSES)
    image, text = net.image(images), net.filled()
    unit = F.normalize(image, dim=-1)

    def forward(keys):
        cache = (-beta * (1 - unit @ keys.T)).exp() @ F.one_hot(classes).double()
        return 80.0 * unit @ text.T + alpha * cache

    run, losses = keys.detach().clone().requires_grad_(), []
    optim = torch.optim.AdamW([run], lr=1e-3, **adamw)
    for rate in (1e-3, 6e-4):  # lowest rate 2e-4
        optim.param_groups[0]['lr'] = rate
        loss = F.cross_entropy(forward(run), labels)
        optim.zero_grad()
        loss.backward()
        optim.step()
        losses.append(loss.item())
    write(
        folder,
        dict(
            method='Tip-Adapter-F',
            alpha=alpha,
            beta=beta,
            logit_scale=80.0,
            trajectory=dict(
                epochs=2,
                iterations_per_epoch=1,
                adamw=adamw,
                base_lr=1e-3,
                schedule='cosine per step, T_max = epochs * iterations, minimum 2e-4',
            ),
        ),
        params,
        found(
            forward(keys),
            labels,
            image,
            text,
            **{
                'cache/labels': classes,
                'traj/images': images[None].float(),
                'traj/labels': labels[None],
                'traj/loss': np.array(losses),
                'traj/lr': np.array([1e-3, 6e-4]),
                'traj/final/adapter.weight': run,
                'traj/final_logits': forward(run)[None],
            },
        ),
        clip,
    )
