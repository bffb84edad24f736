"""A CLIP of a few megabytes for the built-in example and the tests.

``tools/pretrain_tiny_clip.py`` makes it from scratch on images of typed glyphs and
words; ``docs/tiny_clip.md`` says how, and what it can and cannot do.
"""

from pathlib import Path

FOLDER = Path(__file__).resolve().parent
CONFIG = FOLDER / 'config.json'  # open_clip's own form
BPE = FOLDER / 'bpe.txt.gz'  # merges for open_clip's SimpleTokenizer
WEIGHTS = FOLDER / 'weights.safetensors'  # fp16 state dict of open_clip.CLIP

__all__ = ['BPE', 'CONFIG', 'FOLDER', 'WEIGHTS']
