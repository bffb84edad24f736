"""Recompute a case of CoPrompt: sentences, second views, a training run."""

import json
import tempfile
from unittest.mock import patch

import numpy as np
import torch

from . import methods, runs
from .golden import Golden, build_model, clip_config, to_arrays
from .parts import maple_parts
from .probe import probe
from .surplus import idle, served
from .trajectory import optimisation

TERMS = dict(ce_logits='logits', text_consistency='text_consistency')
TERMS['image_consistency'] = 'image_consistency'


def parts(golden: Golden, sentences: str) -> dict:
    """Our config of the case.

    Args:
        golden (Golden): The case.
        sentences (str): File with the sentences.
    """
    meta = golden.meta
    head = dict(
        type='CoPromptHead',
        sentences=sentences,
        weight=meta['W'] * in_cosines(golden),
        image_share=meta['image_adapter_m'],
        text_share=meta['text_adapter_m'],
        reduction=meta['adapter_reduction'],
    )
    return dict(maple_parts(golden), head=head)


def in_cosines(golden: Golden) -> float:
    """How often the distance of two features has 1 - cosine in it.

    The reference's other one is the mean squared difference of E entries, which is
    2 / E (1 - cosine) between features of length 1.
    """
    config, _ = clip_config(golden.folder / golden.meta['clip'])
    return 1.0 if golden.meta['distill'] == 'cosine' else 2 / config['embed_dim']


def build(golden: Golden, **options) -> torch.nn.Module:
    """Our model of the case, which reads the sentences from a file."""
    names = golden.meta['class_names']
    sentences = {
        name: [text.replace('{}', name.replace('_', ' ')) for text in golden.meta['descriptions']]
        for name in names
    }
    with tempfile.NamedTemporaryFile('w', suffix='.json') as file:
        json.dump(sentences, file)
        file.flush()
        model = build_model(served(golden), **options, **parts(golden, file.name))
    prompts = model.visual_prompt
    prompts.projections[prompts.num_layers :].requires_grad_(False)  # these are idle
    return model


def recompute(golden: Golden) -> dict[str, np.ndarray]:
    """Everything that we can say to a case, by the file's keys."""
    model, found = build(golden), {}
    if 'init/prompt_learner.ctx' in golden.arrays:
        fresh = build(golden, start_values=False)
        found['init/prompt_learner.ctx'] = fresh.text_prompt.context
    found |= {
        'tok/prompts': methods.placeholder_tokens(golden, model)['tok/prompts'],
        'tok/descriptions': np.array(
            [[methods.pad(ids, model) for ids in of_all] for of_all in model.head.sentences]
        ),
        'out/description_features': model.head.sentence_features(),
        **outputs(golden, model),
        **losses(golden, model),
        **trajectory(golden, model),
    }
    return to_arrays(found)


@torch.no_grad()
def outputs(golden: Golden, model) -> dict:
    """Features and logits of one pass."""
    images, head = golden.images(), model.head
    with probe(model) as seen:
        match = model.eval().match(images)
    return {
        **{f'mid/text_block_{block}_eot': token for block, token in seen.text_ends.items()},
        **{f'mid/block_{block}_cls': token for block, token in seen.class_tokens.items()},
        'mid/text_features_before_adapter': match.text,
        'mid/image_features_before_adapter': match.image,
        'mid/adapter_text_output': head.text_adapter.layers(match.text),
        'mid/adapter_image_output': head.image_adapter.layers(match.image),
        'out/zeroshot_image_features': model.clip_features(golden.images('images2')),
        'out/text_features': head.text_adapter(match.text),
        'out/image_features': head.image_adapter(match.image),
        'out/logits': head(match),
    }


def samples(labels: np.ndarray, views: torch.Tensor) -> list:
    """Data samples with second views, as the pipeline gives them."""
    found = runs.samples(labels)
    for sample, view in zip(found, views):
        sample.set_field(view, 'img2')
    return found


def losses(golden: Golden, model) -> dict:
    """Loss terms of the first batch (unweighted), gradients of their weighted sum."""
    given = samples(golden.arrays['labels'], golden.images('images2'))
    given = [sample.to(golden.device) for sample in given]
    number = int(golden.arrays['traj/description_index'][0, 0])
    model.train().zero_grad()
    with probe(model) as seen, patch.object(model.head, 'draw', lambda: number):
        total, _ = model.parse_losses(model.loss(golden.images(), given))
    total.backward()
    grads = {n: p.grad for n, p in runs.learnt(model).items()}
    factors = dict.fromkeys(TERMS, in_cosines(golden)) | dict(ce_logits=1)
    return {
        'loss/total': total.detach(),
        **{
            f'loss/{theirs}': factors[theirs] * seen.terms[ours][1].detach()
            for theirs, ours in TERMS.items()
        },
        **{f'grad/{n}': g for n, g in runs.renamed(golden, grads).items()},
    }


def trajectory(golden: Golden, model) -> dict:
    """Train as ``meta.trajectory`` says; the file tells which sentences were drawn."""
    plan, labels = golden.meta['trajectory'], golden.arrays['traj/labels']
    images, views = golden.images('traj/images'), golden.images('traj/images2')
    runs.check_passes(plan, images)
    optim, schedule = optimisation(plan, model, {})
    model.train().zero_grad()
    rates, total, entropy = [], [], []
    for numbers in golden.arrays['traj/description_index']:
        rates.append(optim.get_lr()['lr'][0])
        for step, number in enumerate(numbers):
            batch = dict(inputs=images[step], data_samples=samples(labels[step], views[step]))
            with probe(model) as seen, patch.object(model.head, 'draw', lambda n=number: int(n)):
                logs = model.train_step(batch, optim)
            total.append(logs['loss'].item())
            entropy.append(seen.terms['logits'][1].item())
        schedule.step()
    shape = (plan['epochs'], len(images))
    with torch.no_grad():
        last = torch.stack([model.eval()(batch) for batch in images])
    return {
        'traj/lr': np.array(rates),
        'traj/loss': np.array(total).reshape(shape),
        'traj/ce': np.array(entropy).reshape(shape),
        'traj/final_logits': last,
        **{
            f'traj/final/{name}': tensor
            for name, tensor in runs.renamed(golden, runs.learnt(model)).items()
        },
        **{f'traj/final/{name}': start for name, start in idle(golden).items()},
    }
