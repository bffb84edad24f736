"""Recompute a method's case: outputs, losses, gradients, a training run."""

import numpy as np
import torch

from mmdpt.models.reference_names import rules_of
from mmdpt.models.reference_names import to_reference
from mmdpt.models.prompts.coop import CoOp
from mmdpt.models.prompts.coop import split_prompt
from mmdpt.models.prompts.base import LayeredPrompt

from . import inserted, runs
from .golden import Golden, build_model, to_arrays
from .parts import METHODS
from .probe import probe
from .surplus import served
from .trajectory import run_of
from .tokens import pad, template_tokens
from .words import OWN_LENGTH, context_words

PLAIN, GUIDED = 10**6, 0  # an epoch after, and one within, the guided phase

CROSS_ENTROPIES = ('logits', 'logits_rep', 'text_guide', 'image_guide')


def recompute(golden: Golden) -> dict[str, np.ndarray]:
    """Everything that we can say to a case, by the file's keys."""
    golden = served(golden)
    model = build_model(golden, **METHODS[golden.meta['method']](golden))
    if golden.meta['method'] == 'Tip-Adapter-F':
        model.head.labels.copy_(golden.tensor('cache/labels'))
    found = tokens(golden, model)
    if golden.meta['method'] == 'Tip-Adapter':
        found.update(runs.tip_adapter(golden, model))
    found = {**forward(golden, model), **found}
    if golden.meta['method'] == 'ProGrad':
        found.update(runs.prograd(golden, model))
    elif golden.starts('param/'):
        found.update(losses(golden, model, 'loss', 'grad', PLAIN))
        if any(k.startswith('loss_guided') for k in golden.arrays):
            found.update(losses(golden, model, 'loss_guided', 'grad_guided', GUIDED))
    if 'allmiss/labels' in golden.arrays:
        found.update(all_miss(golden, model))
    if 'imagenet_mode' in golden.meta:
        found.update(imagenet_mode(golden))
    if 'new_class_names' in golden.meta:
        parts = METHODS[golden.meta['method']](golden)
        with torch.no_grad():
            found.update(inserted.on_new_classes(golden, model, parts, everything))
    if 'trajectory' in golden.meta:
        found.update(run_of(golden)(golden, model))
    return to_arrays(found)


def everything(golden: Golden, model) -> dict:
    """Tokens and outputs."""
    return {**forward(golden, model), **tokens(golden, model)}


def tokens(golden: Golden, model) -> dict:
    templates = template_tokens(model)
    one = golden.arrays.get('tok/template_prompts', templates).ndim == 2
    found = {'tok/template_prompts': templates[0] if one else templates}
    if golden.meta['method'] in inserted.METHODS:
        found['tok/name_lens'] = np.array(inserted.name_lengths(model))
        if golden.meta['method'] == 'TCP':
            found['tok/prompts'] = np.array([pad(ids, model) for ids in inserted.token_ids(model)])
    if isinstance(model.text_prompt, CoOp):
        found.update(placeholder_tokens(golden, model))
    if 'mid/text_prompts' in golden.arrays and model.text_prompt is not None:
        found['mid/text_prompts'] = text_inputs(model)
    if 'init/prompt_learner.ctx' in golden.arrays:
        fresh = build_model(golden, start_values=False, **METHODS[golden.meta['method']](golden))
        found['init/prompt_learner.ctx'] = fresh.text_prompt.context
    return found


def placeholder_tokens(golden: Golden, model) -> dict:
    """The prompts as the reference tokenizes them, and the names' lengths."""
    found = {}
    count = model.text_prompt.num_tokens
    context = placeholder(golden, model)
    prompts, lengths = [], []
    for name in model.classes:
        start, name, rest = split_prompt(model.text_tower, name, count)
        prompts.append(pad(start + context + name + rest, model))
        lengths.append(len(name))
    found['tok/prompts'] = np.array(prompts)
    found['tok/name_lens'] = np.array(lengths)
    return found


def placeholder(golden: Golden, model) -> list:
    """Tokens of the reference's prompts that are replaced by the context."""
    encode = model.text_tower.tokenizer.encode
    words = context_words(golden.meta)
    if words and golden.meta['method'] in OWN_LENGTH:  # which may have more tokens than words
        return encode(words)
    count = model.text_prompt.num_tokens - len(words.split())
    return encode('X') * count + encode(words)


def text_inputs(model) -> torch.Tensor:
    """The text tower's inputs, up to the last end of text. Ours end at their
    own; behind it stands the embedding of token 0."""
    prompts = model.text_prompt().unpack()
    length = max(prompt.shape[1] for prompt in prompts)
    padding = model.text_tower.token_embedding.weight[0]
    return torch.stack(
        [torch.cat([prompt[0], padding.expand(length - prompt.shape[1], -1)]) for prompt in prompts]
    )


def forward(golden: Golden, model, images: str = 'images') -> dict:
    """Outputs and intermediate values of one forward pass."""
    model.train()  # only in training are all frozen features at hand
    model.head.set_epoch(GUIDED)
    with torch.no_grad(), probe(model) as seen:
        images = golden.images(images)
        model(images)
        match, head = seen.match, model.head
        found = {
            'out/logits': head(match),
            'out/text_features': match.text,
            'out/image_features': match.image,
            'out/zeroshot_text_features': model.frozen_text_features(),
        }
        if match.frozen_image is not None and match.frozen_text is not None:
            found.update(
                {
                    'out/logits_text_guide': head(match._replace(image=match.frozen_image)),
                    'out/logits_image_guide': head(match._replace(text=match.frozen_text)),
                    'out/zeroshot_logits': head(
                        match._replace(image=match.frozen_image, text=match.frozen_text)
                    ),
                }
            )
    found['out/zeroshot_image_features'] = model.clip_features(images)
    if match.text.dim() == 3:
        found['mid/meta_net_output'] = model.text_prompt.shift(match.frozen_image)
    if hasattr(head, 'adapt'):
        found['mid/adapter_output'] = head.adapter(match.image).detach()
        found['out/image_features'] = head.adapt(match.image).detach()
    found['mid/fixed_embeddings'] = sum(
        model.text_tower(t())[0] for t in model.templates
    ).detach() / len(model.templates)
    for block, token in seen.text_ends.items():
        found[f'mid/text_block_{block}_eot'] = token
    if isinstance(model.visual_prompt, LayeredPrompt):
        for block in range(model.visual_prompt.num_layers):
            found[f'mid/vision_prompts_{block}'] = model.visual_prompt.layer(block).detach()
    if match.class_ids is not None:
        labels = golden.tensor('labels')
        found['out/topk_indices'] = match.class_ids
        found['out/label_in_topk'] = (match.class_ids == labels[:, None]).any(1)
        found['out/layer_logits'] = match.evidence.transpose(1, 2)
    for block, token in seen.class_tokens.items():
        found[f'mid/block_{block}_cls'] = token
    for block, given in seen.prompt_tokens.items():
        found[f'mid/block_{block}_rep'] = given
    if golden.meta['method'] in inserted.METHODS:
        with torch.no_grad():
            found.update(inserted.outputs(golden, model, match))
    for i, weights in enumerate(seen.attention):
        found[f'mid/cavpt_{i}_attention'] = weights
        found[f'mid/cavpt_{i}_attended'] = seen.attended[i].transpose(0, 1)
        found[f'mid/cavpt_{i}_prompts'] = seen.prompts[i].transpose(0, 1)
    return found


def losses(golden, model, loss_key, grad_key, epoch, labels='labels') -> dict:
    """Loss terms (unweighted) and gradients of their weighted sum."""
    model.head.set_epoch(epoch)
    model.train()
    model.zero_grad()
    samples = runs.samples(golden.arrays[labels], golden.device)
    with probe(model) as seen:
        total, _ = model.parse_losses(model.loss(golden.images(), samples))
    total.backward()
    found = {f'{loss_key}/total': total}
    for name, (_, value) in (seen.terms or dict(logits=(1, total))).items():
        name = f'ce_{name}' if name in CROSS_ENTROPIES else name
        found[f'{loss_key}/{name}'] = value
    grads = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
    found.update(
        {
            f'{grad_key}/{n}': g
            for n, g in to_reference(grads, rules(golden)).items()
            if not without_gradient(golden, grad_key, n, g)
        }
    )
    return {k: v.detach().clone() for k, v in found.items()}


def without_gradient(golden, grad_key: str, name: str, grad) -> bool:
    """Whether the reference's tensor takes no part in the loss, and ours has
    the zero that data-parallel training needs instead."""
    return (
        not grad_key.startswith('allmiss')
        and f'{grad_key}/{name}' not in golden.arrays
        and f'param/{name}' in golden.arrays
        and not grad.any()
    )


def rules(golden: Golden):
    return rules_of(golden.meta['method'])


def all_miss(golden: Golden, model) -> dict:
    """Labels outside every top-K: the class-aware term vanishes.

    The reference then leaves out tensors; with us their gradient is zero,
    since data-parallel training needs every tensor in every step.
    """
    found = losses(golden, model, 'allmiss/loss', 'allmiss/grad', PLAIN, 'allmiss/labels')
    found['allmiss/loss_total'] = found.pop('allmiss/loss/total')
    for name in golden.meta.get('allmiss_parameters_without_gradient', []):
        if not golden.arrays[f'param/{name}'].size:
            continue  # no block takes plain prompts, and we have no such tensor
        if float(found[f'allmiss/grad/{name}'].abs().max()) == 0:
            del found[f'allmiss/grad/{name}']  # as it should be
    return {k: v for k, v in found.items() if not k.startswith('allmiss/loss/')}


def imagenet_mode(golden: Golden) -> dict:
    """The ensemble as ImageNet has it: other classes, fewer templates."""
    mode = golden.meta['imagenet_mode']
    model = build_model(golden, classes=mode['class_names'], templates=mode['templates_used'])
    found = {
        key.replace('out/', 'out_imagenet/'): value for key, value in forward(golden, model).items()
    }
    found['tok/template_prompts_imagenet'] = template_tokens(model)
    return found
