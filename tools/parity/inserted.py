"""Cases whose prompts enter middle blocks: TCP, MMRL, MMRL++."""

import torch

from mmdpt.models import RepresentationText
from mmdpt.models.clip.edits import apply_edit
from mmdpt.models.prompts.templates import clean_name

from .golden import Golden, build_model, clip_config
from .settings import NotImplementedCase
from .words import context_words

METHODS = ('TCP', 'MMRL', 'MMRL++')
# (scores of the training's classes are a fusion, those of others): our name
FUSIONS = {
    ('logits_fusion', 'logits'): 'trained',
    ('logits_fusion', 'logits_fusion'): 'always',
    ('logits', 'logits'): 'never',
}


def tcp_parts(golden: Golden) -> dict:
    """Our config of TCP."""
    meta = golden.meta
    meta.one_of('n_class_tokens', [4])
    meta.one_of('meta_net_activation', ['x*sigmoid(1.702x)'])
    for ignored in ('n_ctx_config', 'logit_scale', 'replaced_constants'):
        meta.get(ignored)
    width = clip_config(golden.folder / meta['clip'])[0]['embed_dim']
    hidden = meta['meta_net_hidden_size']
    if width // (width // hidden) != hidden:
        raise NotImplementedCase(f'{hidden} hidden units for features of {width}')
    return dict(
        templates=meta['template_reference'],
        logit_scale=None,
        text_prompt=dict(
            type='TCP',
            template=meta['template_prompt'],
            num_tokens=meta['n_ctx'],
            init_words=context_words(meta) or None,
            layers=meta['insertion_layers_from_0'],
            weights=meta['blend_weights'],
            reduction=width // hidden,
        ),
        head=dict(type='KgCoOpHead', weight=meta['loss_weight']),
    )


def mmrl_parts(golden: Golden) -> dict:
    """Our config of MMRL and MMRL++."""
    meta = golden.meta
    meta.get('replaced_constants')
    shared = meta['method'] == 'MMRL++'
    scores, task = meta['scores_at_test'], meta['task']
    rule = tuple(scores[f'{task}/{classes}'] for classes in ('base', 'new'))
    if rule not in FUSIONS:
        raise NotImplementedCase(f'scores of base and new classes: {rule}')
    return dict(
        templates=meta['template'],
        text_prompt=dict(
            type='RepresentationText',
            num_tokens=meta['n_rep_tokens'],
            space_dim=meta['rep_dim'],
            layers=meta['rep_layers_from_1'],
            **(dict(rank=meta['res_lora_dim'], mix=meta['beta']) if shared else {}),
        ),
        visual_prompt=dict(type='RepresentationImage'),
        head=dict(
            type='MMRLHead',
            alpha=meta['alpha'],
            weight=meta['reg_weight'],
            fusion=FUSIONS[rule],
            rank=meta['proj_lora_dim'] if shared else None,
        ),
    )


def token_ids(model) -> list:
    """Token ids of the prompts that the text tower reads."""
    prompt = model.text_prompt
    return prompt.token_ids if isinstance(prompt, RepresentationText) else prompt.placeholders


def text_states(model) -> list[torch.Tensor]:
    """Every token after every text block, (C, L, W): each prompt by itself,
    filled up, through open_clip's own blocks."""
    tower, prompts = model.text_tower, model.text_prompt()
    padding, length = tower.token_embedding.weight[0], tower.context_length
    x = (
        torch.stack(
            [torch.cat([p[0], padding.expand(length - p.shape[1], -1)]) for p in prompts.unpack()]
        )
        + tower.positional_embedding
    )
    states = []
    for depth, block in enumerate(tower.blocks):
        edit = prompts.at_block(depth)
        if edit is not None:
            x = apply_edit(edit, x, len(tower.start))
        mask = torch.full((x.shape[1], x.shape[1]), float('-inf'), dtype=x.dtype).triu(1)
        x = block(x, attn_mask=mask)
        states.append(x)
    return states


def outputs(golden: Golden, model, match) -> dict[str, torch.Tensor]:
    """What these cases hold beside the common keys."""
    prompt, head, found = model.text_prompt, model.head, {}
    ids = token_ids(model)
    for depth, x in enumerate(text_states(model)):
        grown = x.shape[1] - model.text_tower.context_length
        ends = torch.tensor([len(i) - 1 + grown for i in ids])
        found[f'mid/text_block_{depth}_eot'] = x[torch.arange(len(x)), ends]
        if isinstance(prompt, RepresentationText):
            if grown:
                found[f'mid/text_block_{depth}_rep'] = x[0, 1 : 1 + grown]
        else:
            found[f'mid/text_block_{depth}_ctx'] = x[:, 1:5]
    if not isinstance(prompt, RepresentationText):
        found['mid/meta_net_hidden'] = prompt.meta_net[:2](model.frozen_text_features())
        found['mid/class_prompts'] = prompt.class_tokens()
        found['out/scores_base'] = head(match)
        return found
    towers = dict(text=prompt, visual=model.visual_prompt)
    for name, part in towers.items():
        for i in range(len(prompt.layers)):
            found[f'mid/rep_tokens_{name}_{i}'] = part.projections(prompt.tokens, i)
    found.update(scores(model, match))
    found.update(
        {
            'mid/rep_pooled': match.prompt_tokens.mean(1),
            'out/image_features_rep': head.token_feature(match),
            'out/scores_base': head(match),
        }
    )
    return found


def scores(model, match) -> dict[str, torch.Tensor]:
    """MMRL's three logits."""
    head = model.head
    plain, own = head.class_logits(match), head.token_logits(match)
    return {
        'out/logits': plain,
        'out/logits_rep': own,
        'out/logits_fusion': head.alpha * plain + (1 - head.alpha) * own,
    }


def on_new_classes(golden: Golden, model, parts: dict, forward) -> dict[str, torch.Tensor]:
    """The same weights on ``meta.new_class_names``, taken over as a user's
    checkpoint is."""
    names = golden.meta['new_class_names']
    new = build_model(golden, start_values=False, classes=names, transfer=True, **parts)
    new.load_state_dict(model.state_dict())
    found = {
        k: v
        for k, v in forward(golden, new).items()
        if k
        in (
            'out/text_features',
            'out/logits',
            'out/zeroshot_text_features',
            'out/logits_rep',
            'out/logits_fusion',
            'out/scores_base',
        )
        or k.startswith(('mid/', 'tok/'))
    }
    found['out/scores'] = found.pop('out/scores_base')
    return {f'new/{k}': v for k, v in found.items()}


def name_lengths(model) -> list:
    """Number of tokens of each class name."""
    return [len(model.text_tower.tokenizer.encode(clean_name(n))) for n in model.classes]
