"""Tokenizers: CLIP's byte pairs, or Hugging Face's from a local folder."""

from collections.abc import Callable
from pathlib import Path

HUB = 'huggingface.co'


class HFPromptTokenizer:
    """open_clip's ``HFTokenizer`` with the interface of its byte-pair one.

    What surrounds a text is read off the tokenizer itself: T5 and Gemma
    put an end mark only, BERT and XLM a start mark, too.

    Args:
        tokenizer (open_clip.tokenizer.HFTokenizer): Cleans and tokenizes.

    Attributes:
        start (list[int]): Tokens in front of a text, perhaps none.
        end (list[int]): Tokens behind it, perhaps none.
        padding (int): What fills the context.
    """

    def __init__(self, tokenizer: Callable):
        self.tokenizer = tokenizer
        body, whole = self.encode('a'), self._ids('a', True)
        at = next(i for i in range(len(whole)) if whole[i : i + len(body)] == body)
        self.start, self.end = whole[:at], whole[at + len(body) :]
        if tokenizer.strip_sep_token:  # as open_clip does for CLIPA
            mark = tokenizer.tokenizer.sep_token_id
            self.end = [0 if i == mark else i for i in self.end]
        self.padding = tokenizer.tokenizer.pad_token_id or 0

    def _ids(self, text: str, marks: bool) -> list[int]:
        text = self.tokenizer.clean_fn(text)
        return list(self.tokenizer.tokenizer(text, add_special_tokens=marks)['input_ids'])

    def encode(self, text: str) -> list[int]:
        """Token ids of a text, without marks."""
        return self._ids(text, False)

    def __call__(self, texts):
        """Token ids of texts with marks and padding, (N, context length)."""
        return self.tokenizer(texts)


def marks(tokenizer: Callable) -> tuple[list[int], list[int], int]:
    """What a tokenizer puts around a text: tokens before and behind it, and
    the token that fills the context."""
    if isinstance(tokenizer, HFPromptTokenizer):
        return tokenizer.start, tokenizer.end, tokenizer.padding
    return [tokenizer.sot_token_id], [tokenizer.eot_token_id], 0


def build_tokenizer(name: str, config: dict, source: str | None = None) -> Callable:
    """Build the tokenizer of a config.

    Args:
        name (str): The architecture, for error messages.
        config (dict): In open_clip's form.
        source (str, optional): Local folder of a Hugging Face tokenizer, or a
            file in it, to use instead of the one that the config names.

    Raises:
        ValueError: If the config reads byte pairs, so takes no ``source``, or
            the tokenizer's files are damaged.
        FileNotFoundError: If ``source`` does not exist.
        ImportError: If transformers is not installed.
        ConnectionError: If the tokenizer cannot be downloaded.
    """
    text = config['text_cfg']
    named = text.get('hf_tokenizer_name')
    if named:
        return _hf_tokenizer(name, text, str(source or named), bool(source))
    if source is not None:
        raise ValueError(
            f'tokenizer={str(source)!r} is for Hugging Face '
            f"tokenizers, but {name} reads CLIP's byte pairs: "
            'leave it out, or set hf_tokenizer_name in the '
            'text_cfg of a config of your own.'
        )
    from open_clip.tokenizer import SimpleTokenizer

    return SimpleTokenizer(
        context_length=text.get('context_length', 77), **(text.get('tokenizer_kwargs') or {})
    )


def _hf_tokenizer(name, text, source, given):
    try:
        import transformers  # noqa: F401  (open_clip imports it late)
    except ImportError as error:
        raise ImportError(
            f'The text tower of {name} reads a Hugging Face '
            "tokenizer: pip install 'mmdpt[hf]' (transformers "
            'and sentencepiece).'
        ) from error
    from open_clip.tokenizer import HFTokenizer

    path = Path(source)
    if given and not path.exists():
        raise FileNotFoundError(
            f'tokenizer={source!r} does not exist: give the folder of a '
            'tokenizer, with its tokenizer.json (or model file) and '
            'tokenizer_config.json.'
        )
    local = path.exists()
    folder = path.parent if path.is_file() else path
    if text.get('tokenizer_mode'):
        raise ValueError(
            f'{name} sets tokenizer_mode={text["tokenizer_mode"]!r}, which is not supported.'
        )
    try:
        return HFPromptTokenizer(
            HFTokenizer(
                str(folder) if local else source,
                context_length=text.get('context_length', 77),
                **(text.get('tokenizer_kwargs') or {}),
            )
        )
    except Exception as error:
        reason = f'{type(error).__name__}: {str(error).splitlines()[0]}'
        if local:
            raise ValueError(
                f'{folder} holds no tokenizer that transformers can read ({reason}).'
            ) from error
        raise ConnectionError(
            f'The tokenizer of {name}, {source!r}, cannot be downloaded '
            f'({reason}). Without network: fetch its files from {HUB}/{source}'
            ' elsewhere and set model.tokenizer to their folder.'
        ) from error
