"""The teacher of PromptKD's cases: PromptSRC's prompts, as a checkpoint of ours holds them."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
import torch.nn.functional as F
from mmpretrain.registry import MODELS

from mmdpt.models.prompts.coop import split_prompt
from mmdpt.models.reference_names import from_reference, rules_of

from .golden import PRECISION, Golden, clip_config
from .probe import probe
from .settings import NotImplementedCase
from .words import MOST_WORDS, split_words

TEMPLATE = 'a photo of a {}.'  # of the student's frozen text, which no number here depends on


@contextmanager
def taught(golden: Golden) -> Iterator[tuple[dict, torch.nn.Module]]:
    """The teacher's config, with a checkpoint as our training leaves it, and the model that it
    is of."""
    from safetensors.torch import save_file

    meta = golden.meta
    config, weights = clip_config(golden.folder / meta['teacher_clip'])
    count, words = meta['teacher_n_ctx_text'], teacher_words(golden)
    options: dict = dict(num_tokens=count)
    if words:
        first, rest = split_words(words, count)
        options = dict(init_words=first, frozen_words=rest or None)
    lengths = {len(v) for n, v in golden.starts('teacher/').items() if 'image_encoder' not in n}
    if lengths != {count}:
        raise NotImplementedCase(f'text prompts of the teacher of {lengths} vectors, not {count}')
    # without deep prompts there is still the context
    depth = max(1, min(meta['teacher_prompt_depth_text'], config['text_cfg']['layers']))
    with tempfile.TemporaryDirectory() as folder:
        save_file({k: v.contiguous() for k, v in weights.items()}, f'{folder}/clip.safetensors')
        model = dict(
            arch=config,
            pretrained=f'{folder}/clip.safetensors',
            precision=PRECISION[golden.dtype],
            templates=TEMPLATE,
            data_preprocessor=dict(mean=None, std=None, to_rgb=False),
            text_prompt=dict(type='DeepCoOp', num_layers=depth, **options),
            visual_prompt=visual_prompt(
                meta['teacher_n_ctx_vision'],
                meta['teacher_prompt_depth_vision'],
                config['vision_cfg']['layers'],
            ),
        )
        trained = MODELS.build(dict(model, type='PromptedCLIP', classes=meta['class_names']))
        tensors = {k: torch.from_numpy(v) for k, v in golden.starts('teacher/').items()}
        trained.load_state_dict(from_reference(tensors, rules_of('PromptSRC')))
        torch.save(dict(state_dict=trained.state_dict(), meta={}), f'{folder}/teacher.pth')
        yield (
            dict(model=model, checkpoint=f'{folder}/teacher.pth'),
            trained.to(golden.device).eval(),
        )


def visual_prompt(count: int, depth: int, layers: int) -> dict | None:
    """Our config of prompts in the first blocks of an image tower, which may be none."""
    if not depth:
        return None
    return dict(type='VPT', num_tokens=count, num_layers=min(depth, layers), pre_norm=True)


@torch.no_grad()
def passed(golden: Golden, model) -> dict:
    """What passes through the teacher's towers."""
    with probe(model) as seen:
        logits = model(golden.images())
    image, text = seen.match.image, seen.match.text
    found = {
        'mid/teacher_text_features_raw': text,
        'mid/teacher_image_features_raw': image,
        'out/teacher_image_features': F.normalize(image, dim=-1),
        'out/teacher_logits': logits,
    }
    found.update({f'mid/teacher_text_block_{b}_eot': t for b, t in seen.text_ends.items()})
    found.update({f'mid/teacher_block_{b}_cls': t for b, t in seen.class_tokens.items()})
    return found


def tokens(golden: Golden, model) -> dict:
    """The teacher's prompts as the reference tokenizes them."""
    tower, count = model.text_tower, model.text_prompt.num_tokens
    encode, words = tower.tokenizer.encode, teacher_words(golden)
    context = encode(words) if words else encode('X') * count
    rows = []
    for class_name in model.classes:
        start, name, rest = split_prompt(tower, class_name, count)
        ids = start + context + name + rest
        rows.append(ids + [0] * (tower.context_length - len(ids)))
    return {'tok/prompts': np.array(rows)}


def teacher_words(golden: Golden) -> str:
    """The words that the teacher's prompts begin with; '' where placeholders do."""
    words = golden.meta.get('ctx_init')
    few = golden.meta['teacher_n_ctx_text'] <= MOST_WORDS
    return words.replace('_', ' ') if words and few else ''
