"""Which words of the vocabulary are nearest to a learnt context."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn as nn

from mmdpt.models.prompts.coop import CoOp

END_OF_WORD = '</w>'


class Word(NamedTuple):
    """A token of the vocabulary, and how far it is.

    Attributes:
        text (str): As it is read; ``-`` follows where a word goes on.
        token_id (int): Row of the embedding.
        distance (float): Euclidean distance to the context token.
    """

    text: str
    token_id: int
    distance: float


@torch.no_grad()
def nearest_words(
    model: nn.Module,
    top_k: int = 3,
    classes: Sequence[str] | None = None,
    exclude_special: bool = False,
) -> dict[str | None, list[list[Word]]]:
    """Find the tokens nearest to each position of the learnt contexts.

    As in CoOp (`Learning to Prompt for Vision-Language Models
    <https://arxiv.org/abs/2109.01134>`_, table 4): Euclidean distance to the
    rows of the text tower's token embedding. Of prompts in several blocks
    (MaPLe, PromptSRC) only the first block's can be compared with words; of
    CoCoOp it is the context without the image's shift.

    Args:
        model (PromptedCLIP): The trained classifier.
        top_k (int): Words per position.
        classes (Sequence[str], optional): With class-specific contexts, look
            at these only. Defaults to all.
        exclude_special (bool): Leave out the start and end of text.

    Returns:
        dict: For each class (None: for all in common) the words of each
        position, the nearest first.

    Raises:
        ValueError: If no text context is learnt, a class is unknown or a
            number is out of range.
    """
    prompt = getattr(model, 'text_prompt', None)
    if not isinstance(prompt, CoOp):
        raise ValueError(
            'No text context is learnt here (text_prompt: '
            f'{type(prompt).__name__}), so no words are near to it; CoOp, '
            'CoCoOp, KgCoOp, ProGrad, VLP, DPT, MaPLe and PromptSRC learn '
            'one.'
        )
    contexts = _contexts(prompt, model.classes, classes)
    tower = model.text_tower
    decoder = tower.tokenizer.decoder
    special = tower.tokenizer.all_special_ids if exclude_special else ()
    ids = [i for i in sorted(decoder) if i not in special]
    if isinstance(top_k, bool) or not 1 <= top_k <= len(ids):
        raise ValueError(
            f'top_k must be from 1 to {len(ids)} (the tokens of the vocabulary), but is {top_k}.'
        )
    weight = tower.token_embedding.weight
    rows = weight[torch.tensor(ids, device=weight.device)].to(prompt.context)
    return {
        name: _nearest(context, rows, ids, tower.tokenizer, top_k)
        for name, context in contexts.items()
    }


def _contexts(prompt: CoOp, names: Sequence[str], wanted: Sequence[str] | None):
    """Context (n, W) by class, or that of all under None."""
    if not prompt.class_specific:
        if wanted:
            raise ValueError(
                'All classes share one context here, so none can '
                f'be chosen: leave out {", ".join(wanted)}.'
            )
        return {None: prompt.context}
    unknown = [name for name in wanted or () if name not in names]
    if unknown:
        raise ValueError(f'Unknown class {", ".join(unknown)}; the model has {", ".join(names)}.')
    return {name: prompt.context[list(names).index(name)] for name in wanted or names}


def _nearest(context, rows, ids, tokenizer, top_k) -> list[list[Word]]:
    # Matrix products would lose half of the distances' digits.
    distances = torch.cdist(context, rows, compute_mode='donot_use_mm_for_euclid_dist')
    near = distances.topk(top_k, largest=False)
    return [
        [
            Word(token_text(tokenizer, ids[column]), ids[column], distance)
            for distance, column in zip(*row)
        ]
        for row in zip(near.values.tolist(), near.indices.tolist())
    ]


def token_text(tokenizer, token_id: int) -> str:
    """A token as it is read: ``photo``; ``pho-`` within a word; the bytes
    where it is only a part of a character."""
    symbols = tokenizer.decoder[token_id]
    if token_id in tokenizer.all_special_ids:
        return symbols
    whole = symbols.endswith(END_OF_WORD)
    symbols = symbols.removesuffix(END_OF_WORD)
    text = bytes(tokenizer.byte_decoder[c] for c in symbols)
    try:
        text = text.decode()
    except UnicodeDecodeError:
        text = repr(text)[2:-1]
    return text if whole else f'{text}-'
