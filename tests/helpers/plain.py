"""The plain path: slow, obvious, nothing shared. Twin of the fast one.

Also what ``tools/benchmark_speed.py`` compares with. Every prompt is padded to
the full context, every token goes through every block whole, and the frozen
and the prompted image pass have nothing in common.
"""

import torch
import torch.nn.functional as F

CLASSES = ['cat', 'Egyptian Mau', 'american_bulldog', 'ox']


def small_clip(layers=3, width=64, **text):
    """A CLIP config in open_clip's form, small enough for tests."""
    return dict(
        embed_dim=32,
        quick_gelu=True,
        vision_cfg=dict(image_size=32, patch_size=8, width=width, layers=layers, head_width=32),
        text_cfg=dict(
            context_length=77, vocab_size=49408, width=width, heads=2, layers=layers, **text
        ),
    )


def run_block(block, x, **kwargs):
    """A block of a tower, what learns in it merged into its weights."""
    merged, learnt = {}, []
    update = getattr(block.attn, 'low_rank', None)
    if update is not None and update.enabled:
        parts = [update.parts[p] for p in 'qkv']
        delta = torch.cat([p.scaling * p.B @ p.A for p in parts])
        merged['attn.in_proj_weight'] = block.attn.in_proj_weight + delta
    for name in ('ln_1', 'ln_2'):
        affine = getattr(getattr(block, name), 'learnt', None)
        if affine is not None and affine.enabled:
            learnt.append(affine)
            for kind, value in affine.named_parameters():
                merged[f'{name}.frozen.{kind}'] = value
    for affine in learnt:
        affine.enabled = False  # open_clip's own LayerNorm, with the learnt values
    result = (
        torch.func.functional_call(block, merged, (x,), kwargs) if merged else block(x, **kwargs)
    )
    for affine in learnt:
        affine.enabled = True
    return result


def edited(x, edit, start):
    """Sequences (N, L, W) after an edit, token by token."""
    if edit is None:
        return x
    rows = []
    for i, row in enumerate(x):
        tokens = edit.tokens if edit.tokens.dim() == 2 else edit.tokens[i]
        old = list(row)
        new = [t.to(x.dtype) for t in tokens]
        if edit.how == 'replace':
            new = [edit.weight * t + (1 - edit.weight) * o for t, o in zip(new, old[start:])]
            old[start : start + len(new)] = []
        old[start:start] = new
        rows.append(torch.stack(old))
    return torch.stack(rows)


def encode_text(tower, prompts, at_block=lambda depth: None):
    """Encode prompts padded to the full context, (C, E), not normalised.

    Args:
        tower (TextTower): The tower; its blocks are called as they are.
        prompts (list[Tensor]): Token embeddings of each prompt, (S, W).
        at_block (Callable): What changes before a block.
    """
    length = tower.context_length
    padding = tower.token_embedding.weight[0]
    x = (
        torch.stack([torch.cat([p, padding.expand(length - len(p), -1)]) for p in prompts])
        + tower.positional_embedding
    )
    for depth, block in enumerate(tower.blocks):
        x = edited(x, at_block(depth), 1)
        mask = torch.full((x.shape[1], x.shape[1]), float('-inf'), device=padding.device).triu(1)
        x = run_block(block, x, attn_mask=mask)
    x = tower.ln_final(x)
    grown = x.shape[1] - length
    ends = torch.tensor([len(p) - 1 + grown for p in prompts], device=x.device)
    return x[torch.arange(len(x)), ends] @ tower.text_projection


def with_edit(edit, staying, norm):
    """All prompt tokens (B, P, D) that enter a block.

    Args:
        edit (Edit, optional): The prompt's answer.
        staying (Tensor): Outputs of the block before that go on, (B, S, D).
        norm (nn.Module): The tower's ``ln_pre``.
    """
    if edit is None:
        return staying
    new = edit.tokens.to(staying.dtype).expand(len(staying), -1, -1)
    if edit.pre_norm:
        new = norm(new)
    if edit.how == 'append':
        return torch.cat([staying, new], dim=1)
    mixed = edit.weight * new + (1 - edit.weight) * staying[:, : new.shape[1]]
    return torch.cat([mixed, staying[:, new.shape[1] :]], dim=1)


def encode_image(tower, images, prompt=None, classes=None):
    """Encode images (B, 3, H, W) with every token carried through every
    block whole; (B, E), not normalised, the class evidence, and what became
    of the prompt's tokens."""
    visual = tower.visual
    x = visual._embeds(images.to(visual.conv1.weight.dtype))
    count, evidence = x.shape[1], []
    staying = x[:, :0]
    for depth, block in enumerate(tower.blocks):
        edit = None if prompt is None else prompt.at_block(depth, x, classes)
        if edit is not None and edit.evidence is not None:
            evidence.append(edit.evidence)
        entering = with_edit(edit, staying, visual.ln_pre)
        x = run_block(block, torch.cat([x, entering], dim=1))
        outputs, x = x[:, count:], x[:, :count]
        staying = outputs if edit is None or edit.stays else outputs[:, : staying.shape[1]]
    return visual.ln_post(x)[:, 0] @ visual.proj, evidence, visual.ln_post(outputs)


def cosine_logits(image, text, scale):
    """s cos(image, text) by PyTorch's own cosine."""
    text = text if text.dim() == 3 else text[None]
    return scale * F.cosine_similarity(image[:, None], text, dim=-1)


def learnt_text(model, image=None, classes=None):
    """Text features of a :class:`PromptedCLIP`, (C, E), or (B, C, E) where
    they depend on the frozen image features (B, E), or those of some classes."""
    prompts = (model.text_prompt or model.templates[0])(image)
    whole = prompts.unpack()
    whole = whole if classes is None else [whole[c] for c in classes]
    text = torch.stack(
        [
            encode_text(model.text_tower, [p[g] for p in whole], prompts.at_block)
            for g in range(len(prompts.prefix))
        ]
    ).to(model.scale.dtype)
    return text if len(text) > 1 else text[0]


def kept_classes(head, image, filled, samples):
    """The classes of a step of a :class:`ClassSkippingHead`."""
    likeness = F.cosine_similarity(image[:, None], filled[None], dim=-1).amax(0).tolist()
    for sample in samples:
        likeness[int(sample.gt_label)] = 10_000
    order = sorted(range(len(likeness)), key=lambda c: -likeness[c])
    return sorted(c for rank, c in enumerate(order) if head.drawn[rank])


def match(model, images, filled, samples=None):
    """The forward pass of a :class:`PromptedCLIP`.

    Args:
        model (PromptedCLIP): The classifier, with one template.
        images (Tensor): (B, 3, H, W).
        filled (Tensor): Normalised features of the filled template, (C, E).
        samples (list[DataSample], optional): Of a training step.

    Returns:
        Match: As the model's own.
    """
    from mmdpt.models import Match
    from mmdpt.models.tuning.base import frozen_towers

    with torch.no_grad(), frozen_towers(model.tuning):
        frozen, _, _ = encode_image(model.backbone, images)
        frozen = frozen.to(model.scale.dtype)
    skips = samples is not None and hasattr(model.head, 'drawn')
    text = filled if model.text_prompt is None or skips else learnt_text(model, frozen)
    prompt, classes, order = model.visual_prompt, None, None
    if prompt is not None and 'class_ids' in prompt.requires:
        order = (F.normalize(frozen, dim=-1) @ filled.t()).argsort(dim=1, descending=True)[
            :, : prompt.top_k
        ]
        classes = text[order]
    plain_image = prompt is None and model.tuning is None
    image, evidence, given = (
        (frozen, [], None) if plain_image else encode_image(model.backbone, images, prompt, classes)
    )
    kept = second = None
    if skips:
        kept = kept_classes(model.head, image, filled, samples)
        text = learnt_text(model, classes=kept)
    if samples is not None and 'second_image' in model.head.requires:
        views = torch.stack([sample.img2 for sample in samples]).to(images.device)
        views = model.data_preprocessor(dict(inputs=views))['inputs']
        with torch.no_grad(), frozen_towers(model.tuning):
            second = encode_image(model.backbone, views)[0].to(model.scale.dtype)
    return Match(
        image.to(model.scale.dtype),
        text,
        model.scale,
        frozen,
        filled,
        order,
        torch.stack(evidence) if evidence else None,
        given if prompt is not None and 'prompt_tokens' in prompt.gives else None,
        second_image=second,
        classes=kept,
    )


def about(text_tower, classes):
    """What a text prompt has to know of the model."""
    from mmdpt.models.part import ModelInfo

    return ModelInfo(None, list(classes), text_tower)
