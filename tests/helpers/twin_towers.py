"""MaPLe, PromptSRC, VPT and CLIP-LoRA in plain PyTorch (see twin.py)."""

import torch
import torch.nn.functional as F

from helpers.twin import draw, write
from helpers.twin_methods import CTX, found, start


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
