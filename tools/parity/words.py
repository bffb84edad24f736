"""The words that the reference starts a context from."""

from functools import cache

from .settings import NotImplementedCase, Settings

KGCOOP_WORDS = 'a photo of a'  # whatever CTX_INIT says
MOST_WORDS = 4  # with a longer context these ignore the words
# Methods whose context may be shorter than the words, and where they say how long it is.
OWN_LENGTH = dict(MaPLe='n_ctx', CoPrompt='n_ctx', PromptSRC='n_ctx_text')


def context_length(meta: Settings, key: str) -> int:
    """n, under the method's own name or that of the first set of files."""
    for name in (key, 'text_n_ctx', 'n_ctx'):
        if name in meta:
            return meta[name]
    raise KeyError(f'no {key}: the metadata do not say how long the context is')


def context_words(meta: Settings) -> str:
    """All initial words, learnt or not; '' for a random context."""
    method, words = meta['method'], meta.get('ctx_init')
    if not words:
        return ''
    if method == 'KgCoOp':
        return KGCOOP_WORDS
    if method == 'ProGrad':
        return meta['template'].replace(' {}.', '')
    if not isinstance(words, str):
        raise NotImplementedCase(f'ctx_init={words!r}, which are not words')
    length = OWN_LENGTH.get(method)
    if length and context_length(meta, length) > MOST_WORDS:
        return ''
    return words.replace('_', ' ')


@cache
def _tokenizer():
    from open_clip.tokenizer import SimpleTokenizer

    return SimpleTokenizer()


def split_words(text: str, count: int) -> tuple[str, str]:
    """Cut a text behind its first ``count`` tokens.

    Raises:
        NotImplementedCase: If it is shorter, or the cut is within a word that
            reads differently in two parts.
    """
    tokenizer = _tokenizer()
    tokens = tokenizer.encode(text)
    if len(tokens) < count:
        raise NotImplementedCase(
            f'a context of {count} tokens from {text!r}, which has '
            f'{len(tokens)}: the rest would come from the class name'
        )
    parts = [tokenizer.decode(t).strip() for t in (tokens[:count], tokens[count:])]
    if sum(map(tokenizer.encode, parts), []) != tokens:
        raise NotImplementedCase(f'a context that ends within a word of {text!r}')
    return parts[0], parts[1]


def context(meta: Settings, key: str) -> dict:
    """Options of our text prompt for a context of ``meta[key]`` tokens.

    CoOp, CoCoOp and KgCoOp take n from the number of the words, MaPLe and
    PromptSRC leave the last words frozen.
    """
    words = context_words(meta)
    if not words:
        return dict(num_tokens=context_length(meta, key))
    own_length = meta['method'] in OWN_LENGTH
    for name in ('n_ctx', 'text_n_ctx'):
        meta.get(name)  # of no effect where the words give the length
    count = context_length(meta, key) if own_length else len(words.split())
    learnt, frozen = split_words(words, count)
    if frozen and not own_length:
        raise NotImplementedCase(f'{words!r} has more tokens than words')
    return dict(init_words=learnt, **(dict(frozen_words=frozen) if frozen else {}))
