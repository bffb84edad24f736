"""A small merges file for open_clip's SimpleTokenizer (Sennrich et al., 2016)."""

import gzip
from collections import Counter
from collections.abc import Iterable
from pathlib import Path


def learn_merges(words: Iterable[str], number: int) -> list[tuple[str, str]]:
    """Learn byte-pair merges; only ASCII words are considered.

    Args:
        words: A corpus in lower case, repeats count.
        number: How many merges to learn (fewer where the corpus has no more pairs).

    Returns:
        Pairs in order of merging; the last symbol of a word ends in '</w>'.
    """
    counts = Counter(word for word in words if word.isascii() and word.isalpha())
    spelled = {word: (*word[:-1], word[-1] + '</w>') for word in counts}
    merges = []
    for _ in range(number):
        pairs: Counter = Counter()
        for word, symbols in spelled.items():
            for pair in zip(symbols, symbols[1:]):
                pairs[pair] += counts[word]
        if not pairs:
            break
        best = max(pairs, key=lambda pair: (pairs[pair], pair))  # ties by alphabet
        merges.append(best)
        spelled = {word: join(symbols, best) for word, symbols in spelled.items()}
    return merges


def join(symbols: tuple[str, ...], pair: tuple[str, str]) -> tuple[str, ...]:
    """Replace every occurrence of a pair by one symbol."""
    joined, i = [], 0
    while i < len(symbols):
        if symbols[i : i + 2] == pair:
            joined.append(''.join(pair))
            i += 2
        else:
            joined.append(symbols[i])
            i += 1
    return tuple(joined)


def save_merges(merges: list[tuple[str, str]], path: Path) -> None:
    """Write the file in open_clip's form: a header line, then one pair per line."""
    lines = ['#version: 0.2', *(' '.join(pair) for pair in merges)]
    # No line break at the end: the tokenizer would read it as one more merge.
    path.write_bytes(gzip.compress('\n'.join(lines).encode(), mtime=0))
