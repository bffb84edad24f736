"""Own photos with the built-in CLIP: the config of the digits, on other data."""

from ..paths import root
from .published import EVALUATION_ONLY, OWN

ARCH, TITLE = 'tiny', 'the built-in CLIP'
# what a digits' config says of the digits
SWAPS = {
    "'../_base_/tiny_clip_digits.py'": "'{base}/_base_/tiny_clip_custom.py'",
    "'../_base_/": "'{base}/_base_/",
    "'{{{{fileDirname}}}}/digits.json'": "'data/custom_sentences.json'",
    'of the digit': 'of a',
    'num_keys=160': 'num_keys=None',
}


def tiny_leaf(method: str, dataset: str, shots: int | None, base: str) -> str:
    """The text of a config file, without its docstring.

    Raises:
        ValueError: If the data are not your own, or only some of them are to be drawn.
    """
    if dataset != OWN or shots is not None:
        raise ValueError(
            f'the built-in CLIP is for the digits and for trying your own photos: choose '
            f'{method}_{ARCH}_digits_16shot or {method}_{ARCH}_{OWN} (with '
            'train_dataloader.dataset.shots=N for N photos per class)'
        )
    if method in EVALUATION_ONLY:
        return (
            f"_base_ = ['{base}/_base_/methods/{method}.py', "
            f"'{base}/_base_/tiny_clip_custom.py']\n\n"
            "model = dict(**_base_.pop('tiny'))\n"
        )
    (path,) = (
        path
        for end in ('_16shot', '')
        for path in (root() / 'configs').glob(f'*/{method}_{ARCH}_digits{end}.py')
    )
    text = path.read_text(encoding='utf-8').split('"""', 2)[2].strip() + '\n'
    for old, new in SWAPS.items():
        text = text.replace(old.format(), new.format(base=base))
    return ''.join(line for line in text.splitlines(keepends=True) if 'baselines=' not in line)
