"""One forward pass for several trainings that share a frozen CLIP.

The images of all runs go through the towers as one batch; before each block every run's own
prompt answers for its own images. Text prompts of equal layout are encoded together, as one
group each. What a run gets is what :func:`forward_pass` gives it alone, gradients included.
"""

from collections.abc import Sequence, Set

import torch
import torch.nn as nn
import torch.nn.functional as F

from .clip.edits import Edit
from .forward import frozen_pass, likeliest
from .heads.match import Match
from .sides import Sides


class StackedPrompt:
    """The visual prompts of several runs as one: each answers for its own images.

    Args:
        prompts (Sequence[VisualPrompt]): One per run.
        sizes (Sequence[int]): Images of each run in the batch.
    """

    def __init__(self, prompts: Sequence[nn.Module], sizes: Sequence[int]):
        self.prompts, self.sizes = prompts, list(sizes)
        self.gives = prompts[0].gives

    def at_block(
        self, depth: int, tokens: torch.Tensor, classes: torch.Tensor | None = None
    ) -> Edit | None:
        """See :meth:`VisualPrompt.at_block`; tokens (B, N, D) and classes (B, K, E) of all."""
        several = [None] * len(self.sizes) if classes is None else classes.split(self.sizes)
        edits = [
            prompt.at_block(depth, some, chosen)
            for prompt, some, chosen in zip(self.prompts, tokens.split(self.sizes), several)
        ]
        return joined_edits(edits, self.sizes)


def joined_edits(edits: Sequence[Edit | None], sizes: Sequence[int]) -> Edit | None:
    """One edit of the whole batch out of one per run.

    Args:
        edits (Sequence[Edit | None]): Tokens (n, D), or per image, (b, n, D).
        sizes (Sequence[int]): Images b of each run.

    Returns:
        Edit | None: Tokens (R, n, D), where equally many images share those of
        their run; else one set per image, (B, n, D).

    Raises:
        ValueError: If the runs' answers differ in kind.
    """
    given = [edit for edit in edits if edit is not None]
    if not given:
        return None
    kinds = {(e.tokens.shape[-2:], e.how, e.weight, e.stays, e.pre_norm) for e in given}
    if len(given) < len(edits) or len(kinds) > 1:
        raise ValueError(
            'the prompts of these runs enter a block in different ways, so they cannot be trained '
            'together: leave --together out'
        )
    shared = len(set(sizes)) == 1 and all(e.tokens.dim() == 2 for e in given)
    parts = [
        e.tokens[None] if shared else e.tokens.expand(size, -1, -1) for e, size in zip(given, sizes)
    ]
    evidence = None if given[0].evidence is None else torch.cat([e.evidence for e in given])
    return given[0]._replace(tokens=torch.cat(parts), evidence=evidence)


def stacked_pass(
    runs: Sequence[Sides], images: Sequence[torch.Tensor], required: Sequence[Set[str]]
) -> list[Match]:
    """Match the images of several runs with their classes, see :func:`forward_pass`.

    Args:
        runs (Sequence[Sides]): What each run's images pass through; the frozen towers and the
            kinds of prompts are the same.
        images (Sequence[Tensor]): Normalised, (b, 3, H, W), of each run.
        required (Sequence[Set[str]]): Fields that each run's head requires.

    Returns:
        list[Match]: One per run.
    """
    one, sizes = runs[0], [len(i) for i in images]
    tower, scale, count = one.image_tower, one.scale, len(runs)
    wanted = frozenset().union(*(run.required(r) for run, r in zip(runs, required)))
    tokens, first, adapts = tower.embed(torch.cat(list(images))), 0, one.adapts_images
    frozen_image = pooled = frozen_text = class_ids = [None] * count
    classes = None
    if not adapts or wanted & {'frozen_image', 'class_ids'}:
        frozen, tokens, first = frozen_pass(one, tokens, 0, adapts)
        frozen_image = frozen.to(scale.dtype).feature.split(sizes)
        pooled = pooled if frozen.pooled is None else frozen.pooled.split(sizes)
    if wanted & {'frozen_text', 'class_ids'}:
        frozen_text = [run.text.frozen() for run in runs]
    learnt = stacked_text(runs, frozen_image)
    if 'class_ids' in wanted:
        class_ids = [
            likeliest(image, text, scale, run.visual_prompt.top_k)
            for image, text, run in zip(frozen_image, frozen_text, runs)
        ]
        classes = torch.cat([F.embedding(ids, text) for ids, text in zip(class_ids, learnt)])
    image, evidence, given = frozen_image, [None] * count, [None] * count
    if adapts:
        prompt = StackedPrompt([run.visual_prompt for run in runs], sizes)
        found = tower(tokens, prompt, classes, first).to(scale.dtype)
        image = found.feature.split(sizes)
        if found.evidence is not None:
            evidence = found.evidence.split(sizes, dim=1)
        if found.prompt_tokens is not None:
            given = found.prompt_tokens.split(sizes)
    fields = zip(image, learnt, frozen_image, frozen_text, class_ids, evidence, given, pooled)
    return [
        Match(i, t, scale, fi, ft, ids, e, g, pooled=p) for i, t, fi, ft, ids, e, g, p in fields
    ]


def stacked_text(
    runs: Sequence[Sides], images: Sequence[torch.Tensor | None]
) -> list[torch.Tensor]:
    """Features of each run's text prompts, see :meth:`TextFeatures.learnt`.

    Prompts that enter the first block alone are encoded as one group per run; those with edits
    in later blocks, or that depend on the image, run by run.
    """
    text = runs[0].text
    prompts = [run.text.prompt for run in runs]
    if not enters_once(text):
        return [run.text.learnt(image) for run, image in zip(runs, images)]
    packed = [prompt() for prompt in prompts]
    features = text.tower(
        packed[0]._replace(
            prefix=torch.cat([p.prefix for p in packed]), own=torch.cat([p.own for p in packed])
        )
    )
    return list(features.to(text.dtype).unbind(0))


def enters_once(text) -> bool:
    """Whether a learnt text prompt is all in its bank of embeddings."""
    prompt = text.prompt
    if prompt is None or text.by_image or not any(p.requires_grad for p in prompt.parameters()):
        return False
    return all(prompt.at_block(depth) is None for depth in range(len(text.tower.blocks)))


def check_stackable(model: nn.Module) -> None:
    """Raise ValueError, naming the part, unless a :class:`PromptedCLIP` can be trained together
    with others of its kind."""
    reasons = []
    if model.tuning is not None:
        reasons.append(f'{type(model.tuning).__name__} learns in the towers, which runs share')
    head = model.head
    if head.skips_classes:
        reasons.append(f'{type(head).__name__} leaves out classes in each step')
    if head.second_loss is not None:
        reasons.append(f'{type(head).__name__} has a second loss, with a gradient of its own')
    if 'second_image' in head.requires:
        reasons.append(f'{type(head).__name__} reads a second view of each image')
    if model.clip_identity['pretrained'] is None:
        reasons.append('model.pretrained=None draws other weights for each seed')
    if reasons:
        raise ValueError('; '.join(reasons))
