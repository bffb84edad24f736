"""Texts as they are: their tokens, and the frozen tower's features."""

from collections.abc import Sequence

import torch

from .packing import PackedPrompts, Packing
from .text_tower import TextTower


def prompt_tokens(tower: TextTower, name: str, text: str, num_context: int = 0) -> list[int]:
    """Tokenize a prompt: start, text, end.

    Args:
        tower (TextTower): Gives the tokenizer and the context length.
        name (str): The class name, for the error message.
        text (str): What is tokenized.
        num_context (int): Number of learnt tokens in addition.

    Raises:
        ValueError: If the prompt is longer than the context, or the text
            holds a start or end mark.
    """
    body = tower.tokenizer.encode(text)
    if {*tower.start, *tower.end} & {*body}:
        raise ValueError(
            f'The prompt {text!r} holds the mark of a start or '
            'end of text; leave it out of the template.'
        )
    count = len(tower.start) + len(body) + len(tower.end) + num_context
    if count > tower.context_length:
        context = f' with {num_context} context tokens' if num_context else ''
        raise ValueError(
            f'The prompt of class {name!r}{context} has {count} tokens, but '
            f'the text tower takes {tower.context_length}: shorten the class '
            'name, the template or the sentence, or lower num_tokens.'
        )
    known = tower.token_embedding.num_embeddings
    if max(body, default=0) >= known:
        raise ValueError(
            f'The tokenizer gives {text!r} the token {max(body)},'
            f' but the text tower knows {known}: it is the '
            'tokenizer of another model.'
        )
    return [*tower.start, *body, *tower.end]


@torch.no_grad()
def encode_tokens(tower: TextTower, prompts: Sequence[Sequence[int]]) -> torch.Tensor:
    """Features (C, E), not normalised, of C prompts given as token ids."""
    embedding = tower.token_embedding
    packing = Packing(prompts).to(embedding.weight.device)
    tokens = (embedding(ids)[None] for ids in (packing.prefix, packing.own))
    return tower(PackedPrompts(*tokens, packing))[0]
