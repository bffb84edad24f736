"""The methods' formulas in plain PyTorch, for case files (see twin.py)."""

import numpy as np
import torch
import torch.nn.functional as F

from helpers.twin import CLASSES, Clip, draw, pictures, token_ids, weights, write

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
    """CoOp, KgCoOp (W) and ProGrad (T, LAMBDA)."""
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
    if 'LAMBDA' in meta:
        target = net.logits(image, net.filled()) / meta['T']
        kl = meta['T'] ** 2 * F.cross_entropy(logits / meta['T'], target.softmax(1))
        task = result.pop('loss/total')
        a, b = (torch.autograd.grad(t, params[CTX], retain_graph=True)[0] for t in (task, kl))
        unit = b / b.norm()
        along = (a * unit).sum()
        kept = a - meta['LAMBDA'] * along * unit if along < 0 else a
        result.update(
            {
                'loss/ce_logits': task,
                'loss/kl': kl,
                f'grad_ce/{CTX}': a,
                f'grad_kl/{CTX}': b,
                f'grad/{CTX}': kept,
                'out/gradient_cosine': along / a.norm(),
            }
        )
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


def maple(folder, words, n, depth, layers, **meta):
    clip, net, images, labels = start(**layers)
    name, linear = 'prompt_learner.', ('weight', 'bias')
    shapes = {CTX: (n, 128)}
    for i in range(depth - 1):
        shapes[f'{name}compound_prompts_text.{i}'] = (n, 128)
    for part in ('proj', *(f'compound_prompt_projections.{i}' for i in range(depth - 1))):
        shapes.update({f'{name}{part}.{k}': (128, 128)[: 2 - i] for i, k in enumerate(linear)})
    params = draw(shapes)
    deep = [params[f'{name}compound_prompts_text.{i}'] for i in range(depth - 1)]
    projected = [
        tokens @ params[f'{name}{part}.weight'].T + params[f'{name}{part}.bias']
        for tokens, part in zip(
            [params[CTX], *deep],
            ['proj', *(f'compound_prompt_projections.{i}' for i in range(depth - 1))],
        )
    ]
    prompts = net.prompts(f'{words} {{}}.', params[CTX])
    text = net.text(prompts, deep)
    image = net.image(images, projected, pre_norm=True)
    write(
        folder,
        dict(meta, method='MaPLe', n_ctx=n, prompt_depth=depth),
        params,
        found(net.logits(image, text), labels, image, text, prompts),
        clip,
    )


def promptsrc(folder, words, n, depths, layers, **meta):
    clip, net, images, labels = start(**layers)
    place = 'encoder.transformer.resblocks'
    shapes = {CTX: (n, 128), 'image_encoder.VPT': (3, 128)}
    lower = {
        part: [f'{part}_{place}.{i}.VPT_shallow' for i in range(1, min(depth, net.layers(tower)))]
        for part, depth, tower in zip(
            ('text', 'image'), depths, ('transformer', 'visual.transformer')
        )
    }
    shapes.update({k: (n, 128) for k in lower['text']})
    shapes.update({k: (3, 128) for k in lower['image']})
    params = draw(shapes)
    prompts = net.prompts(f'{words} {{}}.', params[CTX])
    text = net.text(prompts, [params[k] for k in lower['text']])
    image = net.image(
        images, [params['image_encoder.VPT'], *(params[k] for k in lower['image'])], pre_norm=True
    )
    templates = ['a photo of a {}.', 'the {}.']
    fixed = sum(net.text(net.prompts(t)) for t in templates) / 2
    f, t, g, h = (F.normalize(x, dim=-1) for x in (image, text, net.image(images), fixed))
    logits, old = net.scale * f @ t.T, (net.scale * g @ h.T).log_softmax(1)
    result = found(logits, labels, image, text, prompts)
    terms = dict(
        l1_text=(t - h).abs().mean(),
        l1_image=(f - g).abs().mean(),
        kl_logits=(old.exp() * (old - logits.log_softmax(1))).mean(),
    )
    result.update({f'loss/{k}': v for k, v in terms.items()})
    result['loss/total'] = (
        result['loss/total'] + 3 * terms['l1_text'] + 7 * terms['l1_image'] + terms['kl_logits']
    )
    write(
        folder,
        dict(
            meta,
            method='PromptSRC',
            n_ctx_text=n,
            n_ctx_vision=3,
            prompt_depth_text=depths[0],
            prompt_depth_vision=depths[1],
            text_loss_weight=3,
            image_loss_weight=7,
            templates_used=templates,
        ),
        params,
        result,
        clip,
    )


def lora(folder, encoder, position, blocks, parts='qv', rank=3, alpha=2):
    clip, net, images, labels = start(image_layers=6, text_layers=5)
    towers = dict(text='', vision='visual.')
    chosen = towers if encoder == 'both' else [encoder]
    params = draw(
        {
            f'{towers[t]}transformer.resblocks.{i}.attn.{p}_proj.w_lora_{m}': (rank, 128)
            if m == 'A'
            else (128, rank)
            for t in chosen
            for i in blocks[t]
            for p in parts
            for m in 'AB'
        }
    )
    zero, deltas = torch.zeros(128, 128).double(), {}
    for t in chosen:
        deltas[t] = {
            i: torch.cat(
                [
                    alpha
                    / rank**0.5
                    * params[f'{key}{p}_proj.w_lora_B']
                    @ params[f'{key}{p}_proj.w_lora_A']
                    if p in parts
                    else zero
                    for p in 'qkv'
                ]
            )
            for i in blocks[t]
            for key in [f'{towers[t]}transformer.resblocks.{i}.attn.']
        }
    text = net.text(net.prompts('a photo of a {}.'), deltas=deltas.get('text'))
    image = net.image(images, deltas=deltas.get('vision'))
    write(
        folder,
        dict(
            method='CLIP-LoRA',
            r=rank,
            alpha=alpha,
            lora_matrices=list(parts),
            encoder=encoder,
            position=position,
            dropout_rate=0.0,
            logit_scale=50.0,
            scaling=alpha / rank**0.5,
        ),
        params,
        found(net.logits(image, text, 50.0), labels, image, text),
        clip,
    )


def vpt(folder, tokens):
    clip, net, images, labels = start()
    name = 'image_encoder.transformer.ctx_learner.ctx'
    params = draw({name: (4, tokens, 128)})
    image, text = net.image(images, params[name]), net.filled()
    write(
        folder,
        dict(method='VPT', visual_n_ctx=tokens),
        params,
        found(net.logits(image, text), labels, image, text),
        clip,
    )


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


def zero_shot(folder, template):
    clip, net, images, labels = start()
    image, text = net.image(images), net.filled(template)
    logits = net.logits(image, text)
    result = {'out/logits': logits, 'out/image_features': image, 'out/text_features': text}
    write(folder, dict(method='ZeroshotCLIP', template=template), {}, result, clip)
