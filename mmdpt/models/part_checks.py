"""Check that the parts of a classifier fit together, before anything runs."""

from typing import Any

import torch
import torch.nn as nn

from .clip.edits import apply_edit, check_text_edit
from .clip.image_pass import through_blocks
from .heads.base import SimilarityHead
from .heads.match import Match
from .sides import Sides

ALWAYS = frozenset({'image', 'text', 'scale', 'frozen_image', 'frozen_text', 'second_image'})
KNOWN = frozenset(Match._fields) | {'text_prompt', 'shared_text', 'fixed_image', 'sentences'}
REMEDIES = dict(  # what a part lacks, and what to do
    evidence='needs class evidence, but visual_prompt is {visual}: use CAVPT, or GuidedHead.',
    class_ids='needs the likeliest classes of an image, but visual_prompt is {visual}: use CAVPT.',
    prompt_tokens="reads what became of the visual prompt's tokens, which {visual} in a {tower} "
    'does not give: use RepresentationImage and a CLIP ViT such as ViT-B-16-quickgelu.',
    text_prompt='guides learnt text features, but text_prompt is None: use CoOp, or '
    'SimilarityHead.',
    shared_text='needs text features that all images share, but those of {text} depend on the '
    'image: use CoOp.',
    sentences='trains with sentences per class: set model.head.sentences to a .json or .csv file.',
    teacher='learns from a teacher, but there is none: set model.teacher.',
    fixed_image='works on kept features of the images, which visual prompts and low-rank updates '
    'change: set model.visual_prompt=None and model.tuning=None, or use another head.',
    pooled='learns the last projection of the image tower, and only a CLIP ViT has one of its own, '
    'not this {tower}: use one such as ViT-B-16-quickgelu.',
)


def check_model(model: nn.Module) -> None:
    """Raise ValueError unless the parts of a :class:`PromptedCLIP` fit."""
    if getattr(model.data_preprocessor, 'batch_augments', None):
        model.head.check_soft_labels()
    check_parts(model.sides, model.head, model.text_prompt, training=False)
    check_edits(model.sides, len(model.classes))
    if model.sides.teacher is not None:
        model.sides.teacher.check_images(model)


def check_parts(
    sides: Sides, head: SimilarityHead, text_prompt: nn.Module | None, training: bool = True
) -> None:
    """Raise ValueError unless every part gets what it requires; ``training`` is whether that
    includes what a part keeps for predicting."""
    visual, tower = sides.visual_prompt, sides.image_tower
    given = set(ALWAYS)
    if text_prompt is not None:
        given.add('text_prompt')
    if not sides.text.by_image:
        given.add('shared_text')
    if visual is not None:
        given |= visual.gives | (visual.requires & {'class_ids'})
        if not tower.gives_tokens:
            given.discard('prompt_tokens')
    if sides.teacher is not None:
        given.add('teacher')
    if visual is not None and 'class_ids' in visual.requires and head.skips_classes:
        raise ValueError(
            f'{type(head).__name__} leaves out classes, whose text {type(visual).__name__} may '
            'need: use VPT.'
        )
    if getattr(head, 'sentences', None):
        given.add('sentences')
    if not sides.adapts_images:
        given.add('fixed_image')
    if tower.proj is not None:
        given.add('pooled')
    parts = text_prompt, visual, sides.tuning, head
    if sides.teacher is not None and not any('teacher' in p.requires for p in parts if p):
        raise ValueError(
            f'model.teacher is there, but nothing learns from it, {type(head).__name__} neither: '
            'take it out, or use PromptKDHead.'
        )
    for part in parts:
        required = frozenset() if part is None else part.requires
        if part is not None and not training:
            required -= part.keeps
        if 'class_ids' in required:
            required |= {'shared_text'}
        for name in sorted(required - given):
            remedy = REMEDIES.get(name, f'requires {name!r}, which no part gives.')
            if name not in KNOWN:
                known = ', '.join(sorted(KNOWN))
                remedy = f'requires {name!r}, which is unknown: it may name {known}.'
            names = {
                k: type(v).__name__
                for k, v in dict(visual=visual, tower=tower, text=text_prompt).items()
            }
            raise ValueError(f'{type(part).__name__} {remedy.format(**names)}')


@torch.no_grad()
def check_edits(sides: Sides, num_classes: int) -> None:
    """Ask every prompt once about every block, with tokens of zeros.

    Raises:
        ValueError: If an answer does not fit its block.
    """
    if sides.visual_prompt is not None:
        _check_image_edits(sides.image_tower, sides.visual_prompt)
    prompt, tower = sides.text.prompt, sides.text.tower
    if prompt is None:
        return
    start = len(tower.start)
    x = torch.empty(num_classes, tower.context_length, tower.width, device='meta')
    with sides.text.pretended(num_classes):
        for depth in range(len(tower.blocks)):
            edit = prompt.at_block(depth)
            if edit is None:
                continue
            try:
                check_text_edit(edit)
                x = apply_edit(edit._replace(tokens=edit.tokens.to('meta')), x, start)
            except (ValueError, RuntimeError) as error:
                raise ValueError(
                    f'{type(prompt).__name__} does not fit block {depth} of the text tower: {error}'
                ) from error


def _check_image_edits(tower: Any, prompt: nn.Module) -> None:
    weight = next(tower.parameters())
    tokens = torch.zeros(2, 2, tower.width, device=weight.device)
    classes = torch.zeros(2, prompt.top_k, tower.embed_dim, device=weight.device)

    def run(depth, tokens, extra=None, read=None):
        if extra is not None:
            torch.cat([tokens, extra.expand(len(tokens), -1, -1)], dim=1)
        return tokens if read is None else tokens[:, :read]

    try:
        through_blocks(range(tower.depth), tokens, prompt, classes, nn.Identity(), run)
    except (ValueError, RuntimeError) as error:
        raise ValueError(
            f"{type(prompt).__name__} does not fit the image tower's blocks: {error}"
        ) from error
